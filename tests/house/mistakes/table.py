"""A hundred mistakes as data: what is typed in a folder with what in it, and what the answer must name, say and advise.

`names`, `says` and `advises` are regular expressions, searched in standard error without regard to case: the option or
file at fault, what is wrong with it or where in it, and the next step.
"""

from __future__ import annotations

from typing import NamedTuple

from house.mistakes import setups as s


class Mistake(NamedTuple):
    """One thing a user may do wrong. Paths are relative to the folder in which `lr` is called."""

    name: str
    typed: str
    names: str
    says: str
    advises: str
    made: tuple[s.SetUp, ...] = ()


ARM = "--robot.type=so101_follower --robot.port=emulated://so101 --robot.id=blue"
LEADER = "--teleop.type=so101_leader --teleop.port=emulated://so101-leader --teleop.id=red"
PAIR = f"teleoperate {ARM} {LEADER} --teleop_time_s=0.2"
SET = "--dataset.repo_id=me/set --dataset.root=set --dataset.single_task=wave --dataset.num_episodes=1 --dataset.episode_time_s=0.2"
RECORD = f"record {ARM} {LEADER} {SET}"
TINY = (
    "--policy.type=act --policy.device=cpu --policy.push_to_hub=false --policy.dim_model=32 --policy.n_heads=4"
    " --policy.dim_feedforward=48 --policy.n_encoder_layers=1 --policy.n_vae_encoder_layers=1 --policy.chunk_size=8"
    " --policy.n_action_steps=8 --output_dir=out --num_workers=0"
)
DEMOS = "--dataset.repo_id=me/demos --dataset.root=demos"
TRAIN = f"train {DEMOS} {TINY} --steps=1"
REPLAY = f"replay {ARM} {DEMOS}"
HOLD = "serve --policy.type=hold"
RUN = f"run {ARM} --episode_time_s=0.2 --timeout_s=0.5"


def cameras(inner: str) -> str:
    return f"{PAIR} '--robot.cameras={{top: {{{inner}}}}}'"


# fmt: off
COMMANDS = [
    Mistake("command with a typing error", "reocrd --robot.type=so101_follower", "'.*reocrd'", "unknown", "'record'"),
    Mistake("command within a group with a typing error", "dataset inof demos", "inof", "unknown", "'info'", (s.demos,)),
    Mistake("command as LeRobot calls it", f"lerobot-record {ARM}", "lerobot-record", "unknown", r"lr record|'record'"),
    Mistake("command of LeRobot that is not here", "eval --policy.path=act", "'.*eval'", "unknown", "lr --help|lr run"),
    Mistake("underscore in a command", "find_port", "find_port", "unknown", "'find-port'"),
    Mistake("capital letter in a command", "Record", "'.*Record'", "unknown", "'record'"),
    Mistake("command forgotten", ARM, "--robot.type", "command", r"lr COMMAND|lr --help|lr \w+ --robot"),
    Mistake("command of a group forgotten", "dataset demos", "demos", "unknown", r"'?info'?|dataset --help", (s.demos,)),
    Mistake("help as a command", "help record", "'.*help'", "unknown", "--help"),
    Mistake("argument of a command forgotten", "dataset info", "PATH_OR_REPO", "missing", r"folder|user/name|--help"),
    Mistake("explain what is no command", "config explain trian", "trian", "no|not|unknown", "'train'"),
]

OPTIONS = [
    Mistake("option with a typing error", f"{PAIR} --fsp=30", "fsp", "unknown option", "'fps'"),
    Mistake("nested option with a typing error", f"{PAIR} --robot.prot=x", r"robot\.prot", "unknown option", "'port'"),
    Mistake("deep option with a typing error", f"{RECORD} --dataset.encoder.cfr=20", r"dataset\.encoder\.cfr", "unknown", "'crf'"),
    Mistake("section with a typing error", f"teleoperate {LEADER} --robto.type=so101_follower", "robto", "unknown option", "'robot'"),
    Mistake("hyphen for underscore", f"record {ARM} {LEADER} --dataset.repo-id=me/set --dataset.single_task=x", r"dataset\.repo-id", "unknown", "'repo_id'"),
    Mistake("option of a camera that is called otherwise", cameras("type: opencv, index: 0"), r"robot\.cameras\.top\.index", "unknown option", "'index_or_path'"),
    Mistake("one dash", f"teleoperate {LEADER} -robot.type=so101_follower", "'-robot.type", "dash|unexpected", "--robot.type"),
    Mistake("dash of a word processor", f"teleoperate {LEADER} –-robot.type=so101_follower", "–-robot.type", "dash", "--robot.type"),
    Mistake("long dash for two", f"teleoperate {LEADER} —robot.type=so101_follower", "—robot.type", "dash", "--robot.type"),
    Mistake("quotes of a word processor around a task", f"record {ARM} {LEADER} --dataset.repo_id=me/set --dataset.single_task=“put the cube away”", "“put|away”|single_task", "quote", "plain|straight|\"|'"),
    Mistake("quotes of a word processor around cameras", f"{PAIR} '--robot.cameras=‘{{top: {{type: pattern}}}}’'", r"robot\.cameras", "quote", "plain|straight"),
    Mistake("value forgotten at the end", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port", r"robot\.port", "value", r"--robot\.port="),
    Mistake("value forgotten before the next option", f"teleoperate {LEADER} --robot.type --robot.port=emulated://so101", r"robot\.type", "value", r"--robot\.type="),
    Mistake("spaces around =", f"teleoperate {LEADER} --robot.type = so101_follower", r"robot\.type", "=", r"--robot\.type=so101_follower"),
    Mistake("stray word", f"{PAIR} so101_follower", "'so101_follower'", "unexpected", "--"),
    Mistake("task without quotes", f"record {ARM} {LEADER} --dataset.repo_id=me/set --dataset.single_task=put the red cube into the box", r"'the'|'the red", "unexpected", "quote"),
    Mistake("option twice", f"{PAIR} --fps=30 --fps=60", "fps", "twice.*30.*60", "one|once"),
    Mistake("two types", f"teleoperate {LEADER} --robot.type=so100_follower --robot.type=so101_follower --robot.port=x", r"robot\.type", "twice", "one|once"),
    Mistake("trailing comma", f"teleoperate {LEADER} --robot.type=so101_follower, --robot.port=x", r"robot\.type", "'so101_follower,'", "mean 'so101_follower'"),
    Mistake("dot forgotten", f"teleoperate {LEADER} --robottype=so101_follower", "robottype", "unknown option", r"'robot\.type'"),
    Mistake("colon for a dot", f"teleoperate {LEADER} --robot:type=so101_follower", "robot:type", "unknown option", r"'robot\.type'"),
    Mistake("dashes forgotten", f"teleoperate {LEADER} robot.type=so101_follower", "'robot.type=so101_follower'", "unexpected|dash", "--robot.type=so101_follower"),
    Mistake("option of something else", f"{PAIR} --robot.index_or_path=0", r"robot\.index_or_path", "unknown option", "--help"),
    Mistake("value for a section", f"record {ARM} {LEADER} --dataset=me/set --dataset.single_task=x", "dataset", "me/set", r"repo_id"),
    Mistake("option before the command", "--dry_run record", "dry_run", "before|option", "after|lr COMMAND|lr record"),
    Mistake("capital letter in an option", f"teleoperate {LEADER} --Robot.type=so101_follower", "Robot", "unknown option", "'robot'"),
    Mistake("space behind the backslash that ends a line", f"{PAIR} ' '", "' '", "unexpected|space", "backslash"),
]

VALUES = [
    Mistake("type with a typing error", f"teleoperate {LEADER} --robot.type=so101_folower --robot.port=x", r"robot\.type", "'so101_folower'", "'so101_follower'"),
    Mistake("leader for a robot", f"teleoperate {LEADER} --robot.type=so101_leader --robot.port=x", r"robot\.type", "'so101_leader' is a teleoperator", r"--teleop\.type|'so101_follower'"),
    Mistake("follower for a teleoperator", f"teleoperate {ARM} --teleop.type=so101_follower --teleop.port=x", r"teleop\.type", "'so101_follower' is a robot", r"--robot\.type|'so101_leader'"),
    Mistake("robot for a policy", f"train {DEMOS} --policy.type=so101_follower", r"policy\.type", "is a robot", "act", (s.demos,)),
    Mistake("camera nobody knows", cameras("type: realsense"), r"robot\.cameras\.top\.type", "'realsense'", "opencv"),
    Mistake("type forgotten", f"teleoperate {LEADER} --robot.port=x", r"robot\.type", "missing", "so101_follower"),
    Mistake("port forgotten", f"teleoperate {LEADER} --robot.type=so101_follower", r"robot\.port", "missing", "--help|find-port"),
    Mistake("task forgotten", f"record {ARM} {LEADER} --dataset.repo_id=me/set", r"dataset\.single_task", "missing", "--help"),
    Mistake("policy forgotten", f"train {DEMOS} --output_dir=out", "policy", "missing|no ", r"act|--policy\.type|--policy\.path", (s.demos,)),
    Mistake("word for a number", f"{TRAIN} --batch_size=many", "batch_size", "integer, got 'many'", "--help", (s.demos,)),
    Mistake("fraction for a whole number", f"{TRAIN} --batch_size=8.5", "batch_size", "integer, got '8.5'", "--help", (s.demos,)),
    Mistake("unit behind a number", f"{RECORD} --dataset.fps=30Hz", r"dataset\.fps", "integer, got '30Hz'", "--help"),
    Mistake("yes for true", f"{RECORD} --dataset.video=yes", r"dataset\.video", "'yes'", "true or false"),
    Mistake("comma in a number", f"{PAIR} --fps=29,97", "fps", "number, got '29,97'", "--help"),
    Mistake("codec with another name", f"{RECORD} --dataset.vcodec=h265", r"dataset\.vcodec", "'h265'", "hevc"),
    Mistake("range for a list", f"{TRAIN} --dataset.episodes=0-10", r"dataset\.episodes", "list.*'0-10'", "--help|\\["),
    Mistake("no steps", f"train {DEMOS} {TINY} --steps=0", "steps", "0", "least 1|above 0|1 or more", (s.demos,)),
    Mistake("fewer than no steps", f"train {DEMOS} {TINY} --steps=-5", "steps", "-5", "least 1|above 0|1 or more", (s.demos,)),
    Mistake("no batch", f"{TRAIN} --batch_size=0", "batch_size", "0", "least 1|above 0|1 or more", (s.demos,)),
    Mistake("batch larger than the dataset", f"{TRAIN} --batch_size=1000000", "batch_size", r"1000000.*\d+ frames|\d+ frames.*1000000", "smaller|at most|or less", (s.demos,)),
    Mistake("no rate", f"{PAIR} --fps=0", "fps", "0", "above 0|at least"),
    Mistake("recording without a rate", f"{RECORD} --dataset.fps=0", r"dataset.*fps", "0", "above 0|at least"),
    Mistake("fewer than no episodes", f"{RECORD} --dataset.num_episodes=-1".replace("--dataset.num_episodes=1 ", ""), r"num_episodes", "-1", "above 0|at least"),
    Mistake("threshold out of range", f"{RUN} --policy.type=hold --chunk_size_threshold=2", "chunk_size_threshold", "2", "between 0 and 1|0 to 1"),
    Mistake("more steps than a chunk has", f"{TRAIN} --policy.n_action_steps=50".replace("--policy.n_action_steps=8 ", ""), "n_action_steps", "50", "chunk_size", (s.demos,)),
    Mistake("joint that is not there", f"{PAIR} '--robot.max_relative_target={{elbow: 5.0}}'", "max_relative_target", "elbow", "elbow_flex"),
    Mistake("device that is not there", f"{TRAIN} --policy.device=cuda:99".replace("--policy.device=cpu ", ""), "device", "cuda:99", "cpu", (s.demos,)),
    Mistake("device nobody knows", f"{TRAIN} --policy.device=gpu".replace("--policy.device=cpu ", ""), "device", "gpu", "cuda", (s.demos,)),
    Mistake("size below zero", cameras("type: pattern, width: -640, height: 480, fps: 30"), "width|cameras", "-640", "or more|above 0|at least"),
]

FILES = [
    Mistake("config file that is not there", f"{PAIR} --config_path=arm.yml", "arm.yml", "does not exist|not there", "--config_path|arm.yaml", (s.text("arm.yaml", "fps: 30"),)),
    Mistake("folder for a config file", f"{PAIR} --config_path=configs", "configs", "folder", "--config_path|file", (s.empty("configs"),)),
    Mistake("config file of somebody else", f"{PAIR} --config_path=arm.yaml", "arm.yaml", "permission|may not be read", "chmod|owner|permission", (s.text("arm.yaml", "fps: 30"), s.mode("arm.yaml", 0))),
    Mistake("config file with broken YAML", f"{PAIR} --config_path=arm.yaml", "arm.yaml", "line 3", "YAML|bracket|check", (s.text("arm.yaml", "fps: 30\nrobot:\n  cameras: {top: {type: pattern\nseed: 1\n"),)),
    Mistake("config file with broken JSON", f"{PAIR} --config_path=arm.json", "arm.json", "line 3", "JSON|YAML|comma|check", (s.text("arm.json", '{\n  "fps": 30\n  "seed": 1\n}\n'),)),
    Mistake("tab in a config file", f"{PAIR} --config_path=arm.yaml", "arm.yaml", "line 2", "tab|space", (s.text("arm.yaml", "robot:\n\ttype: so101_follower\n"),)),
    Mistake("film for a config file", f"{PAIR} --config_path=film.mp4", "film.mp4", "not|no ", "YAML|JSON|text", (s.film,)),
    Mistake("list for a config file", f"{PAIR} --config_path=arm.yaml", "arm.yaml", "list", "by name|option", (s.text("arm.yaml", "- fps: 30\n"),)),
    Mistake("config file with an unknown option", f"{PAIR} --config_path=arm.yaml", "fsp", "arm.yaml", "'fps'", (s.text("arm.yaml", "fsp: 30\n"),)),
    Mistake("config file with text for a number", f"{PAIR} --config_path=arm.yaml", "fps", "arm.yaml", "number", (s.text("arm.yaml", "fps: '30'\n"),)),
    Mistake("bracket forgotten on the command line", f"{PAIR} '--robot.cameras={{top: {{type: pattern'", r"robot\.cameras", "YAML|bracket", r"\{.*\}|close|bracket"),
    Mistake("space forgotten behind a colon", f"{PAIR} '--robot.cameras={{top:{{type:pattern}}}}'", r"robot\.cameras", "top:|colon", "space"),
]

DEVICES = [
    Mistake("port that is not there", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=/dev/ttyACM77", "/dev/ttyACM77", "does not exist|not there|no such", "find-port"),
    Mistake("folder for a port", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=set", "'set'", "folder|no serial", "find-port", (s.empty("set"),)),
    Mistake("file for a port", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=notes.txt", "'notes.txt'", "no serial|not a serial", "find-port", (s.text("notes.txt"),)),
    Mistake("port of somebody else", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=port", "'port'", "permission|may not", "dialout|chmod", (s.text("port"), s.mode("port", 0))),
    Mistake("port in use", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=port", "'port'", "in use|busy", "other program|close|end", (s.busy_port,)),
    Mistake("port with no arm on it", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=port", "'port'", "not answer|no answer", "power|cable", (s.silent_port,)),
    Mistake("port of Windows", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=COM3", "COM3", "Windows|does not exist", "/dev/tty|find-port"),
    Mistake("emulated with a typing error", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=emualted://so101", "emualted://so101", "unknown|no serial|does not exist", "emulated://"),
    Mistake("emulated arm nobody knows", f"teleoperate {LEADER} --robot.type=so101_follower --robot.port=emulated://so102", "so102", "unknown|no ", "so101"),
    Mistake("option of an emulated arm with a typing error", f"teleoperate {LEADER} --robot.type=so101_follower '--robot.port=emulated://so101?moton=sine'", "moton", "unknown", "motion"),
    Mistake("servo that does not answer", f"teleoperate {LEADER} --robot.type=so101_follower '--robot.port=emulated://so101?dead=3'", "elbow_flex", "id 3", "power|cable"),
    Mistake("leader that speaks another unit", f"{PAIR} --teleop.use_degrees=false", "shoulder_pan|use_degrees", "degrees|unit|deg", "use_degrees"),
    Mistake("leader with other joints", f"--plugin=two_joints.py teleoperate {ARM} --teleop.type=two_joints", "shoulder_pan", "missing|not", "two_joints|teleoperator|--teleop", (s.text("two_joints.py", s.TWO_JOINTS),)),
    Mistake("camera that is not there", cameras("type: opencv, index_or_path: 77, width: 640, height: 480, fps: 30"), "77", "cannot be opened|not open|does not exist|not there", "lr find-cameras|/dev/video|index_or_path"),
    Mistake("camera of another size", cameras("type: opencv, index_or_path: film.mp4, width: 640, height: 480, fps: 30"), "film.mp4|top", "640 ?x ?480.*128 ?x ?96|128 ?x ?96.*640 ?x ?480", "width", (s.film,)),
    Mistake("calibration file that is broken", f"{PAIR} --robot.calibration_dir=.", "blue.json", "JSON|line", "lr calibrate", (s.text("blue.json", '{"shoulder_pan": {'),)),
    Mistake("calibration file of another arm", f"{PAIR} --robot.calibration_dir=.", "blue.json", "shoulder_pan|left", "lr calibrate|--robot.id", (s.calibration("left", "right"),)),
]

DATASETS = [
    Mistake("dataset that is not there", "dataset info nowhere", "nowhere", "no dataset|does not exist|not there|not found", "folder|user/name|repo"),
    Mistake("folder without a dataset", "dataset info things", "things", "no dataset|meta/info.json", "record|folder", (s.empty("things"),)),
    Mistake("train on nothing", f"train --dataset.repo_id=me/set --dataset.root=set {TINY}", "set", "no dataset|does not exist|not there", "root|repo_id"),
    Mistake("checkpoint for a dataset", f"train --dataset.repo_id=me/set --dataset.root=act {TINY}", "act", "checkpoint", r"--policy\.path|--dataset\.root|folder", (s.act,)),
    Mistake("dataset for a policy", "serve --policy.path=demos", "demos", "dataset", r"--policy\.path|--dataset|checkpoint", (s.demos,)),
    Mistake("go on recording a dataset of an older format", f"{RECORD} --resume", "set", "v2.1", "convert", (s.copied("datasets/v21", "set"),)),
    Mistake("table that is cut off", f"{TRAIN}", "data/chunk-000/file-000.parquet", "cannot be read|broken|damaged|not", "copy|download|again", (s.demos, s.cut("demos/data/chunk-000/file-000.parquet", 1000))),
    Mistake("film that is missing", f"train --dataset.repo_id=me/clips --dataset.root=clips {TINY} --policy.pretrained_backbone_weights=null --steps=1", "observation.images.front/chunk-000/file-000.mp4", "does not exist|missing|not there", "copy|download|again", (s.clips, s.without("clips/videos/observation.images.front/chunk-000/file-000.mp4"))),
    Mistake("description that is broken", "dataset info demos", "meta/info.json", "JSON", "line|copy|download|repair", (s.demos, s.cut("demos/meta/info.json", 100))),
    Mistake("episode out of range", f"{REPLAY} --dataset.episode=99", "episode", "99", "0 to 3|4 episodes", (s.demos,)),
    Mistake("episodes out of range", f"{TRAIN} --dataset.episodes=[0,99]", "episodes", "99", "0 to 3|4 episodes", (s.demos,)),
    Mistake("dataset that exists already", f"{RECORD}", "'set'", "exists|not empty", "--resume|another", (s.copied("datasets/state_env", "set"),)),
    Mistake("file where the dataset is to be", f"{RECORD}", "'set'", "is a file", "another", (s.text("set"),)),
    Mistake("folder that may not be written", RECORD.replace("root=set", "root=locked/set"), "locked", "permission|written", "another|root|permission", (s.empty("locked"), s.mode("locked", 0o555))),
    Mistake("go on recording nothing", f"{RECORD} --resume", "'set'", "no dataset|does not exist|nothing", "without --resume|--resume"),
    Mistake("go on recording another robot's dataset", f"{RECORD} --resume", "observation.environment_state|features", "differ|missing|not|unlike|other", "same|another|root|repo_id", (s.copied("datasets/state_env", "set"),)),
    Mistake("replay with other joints", f"{REPLAY}", "left_pan", "shoulder_pan|not|missing", "robot|dataset|rename", (s.demos, s.changed("demos/meta/info.json", "shoulder_pan", "left_pan"))),
]

POLICIES = [
    Mistake("checkpoint that is not there", "serve --policy.path=outputs/act", "outputs/act", "not there|does not exist|no checkpoint|not found", "pretrained_model|path"),
    Mistake("checkpoint without weights", "serve --policy.path=act", "model.safetensors", "missing|not there|does not exist|no weights", "copy|download|again|checkpoint", (s.act, s.without("act/model.safetensors"))),
    Mistake("weights that are cut off", "serve --policy.path=act", "model.safetensors", "cannot be read|broken|damaged|not", "copy|download|again", (s.act, s.cut("act/model.safetensors", 1000))),
    Mistake("run for a checkpoint", "serve --policy.path=run", "'run", "no|not|missing", "checkpoints/last/pretrained_model", (s.run,)),
    Mistake("weights for a checkpoint", "serve --policy.path=act/model.safetensors", "model.safetensors", "file|folder", "folder|'act'", (s.act,)),
    Mistake("policy that needs what the robot lacks", f"{RUN} --policy.path=act --policy.device=cpu", "observation.environment_state", "missing", "rename_map|robot|policy", (s.act,)),
    Mistake("output folder that exists", f"{TRAIN}", "'out'", "exists|not empty", "--resume|another", (s.demos, s.copied("train_checkpoint/step_000004", "out/checkpoints/000004"))),
    Mistake("go on training nothing", f"train {DEMOS} --resume --output_dir=out", "out", "no checkpoint|nothing|does not exist|not there", "without --resume|--resume|--output_dir", (s.demos,)),
    Mistake("policy and server", f"{RUN} --policy.type=hold --server=tcp://127.0.0.1:9", "--server", "--policy", "either|one of|not both"),
    Mistake("neither policy nor server", RUN, "--server", "--policy", "either|one of"),
]

NETWORK = [
    Mistake("address without tcp://", f"{HOLD} --address=localhost:8080", "address", "'localhost:8080'", "tcp://"),
    Mistake("address of the web", f"{RUN} --server=http://127.0.0.1:8080", "server", "'http://127.0.0.1:8080'", "tcp://"),
    Mistake("port beyond the last", f"{HOLD} --address=tcp://127.0.0.1:99999", "address", "99999", "65535|port"),
    Mistake("address in use", f"{HOLD} --address=tcp://127.0.0.1:48713", "tcp://127.0.0.1:48713", "in use", "another|other|port 0|:0", (s.taken(48713),)),
    Mistake("nobody at the address", f"{RUN} --server=tcp://127.0.0.1:9", "tcp://127.0.0.1:9", "no answer|refused|nobody", "lr serve"),
    Mistake("another program at the address", f"{RUN} --server=tcp://127.0.0.1:48714", "tcp://127.0.0.1:48714", "no answer|not", "lr serve", (s.taken(48714),)),
    Mistake("aggregator with a typing error", f"{RUN} --policy.type=hold --aggregate_fn_name=averag", "averag", "unknown", "'average'"),
]

PLUGINS = [
    Mistake("plugin file that is not there", f"--plugin=arm.py {PAIR}", "arm.py", "does not exist|not there|no such", "--plugin|path|file"),
    Mistake("plugin file with an error in it", f"--plugin=arm.py {PAIR}", "arm.py", "line 2|no_such_library", "install|correct|mend|fix|LR_DEBUG", (s.text("arm.py", "import sys\nimport no_such_library\n"),)),
    Mistake("plugin file that is no Python", f"--plugin=arm.py {PAIR}", "arm.py", "syntax|line 1", "install|correct|mend|fix|LR_DEBUG", (s.text("arm.py", "this is no Python\n"),)),
    Mistake("plugin file forgotten", f"{PAIR} --plugin", "--plugin", "file|value|missing", r"--plugin[= ]\S"),
]

MISTAKES = [*COMMANDS, *OPTIONS, *VALUES, *FILES, *DEVICES, *DATASETS, *POLICIES, *NETWORK, *PLUGINS]
