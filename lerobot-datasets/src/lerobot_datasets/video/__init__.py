"""Pictures to and from files: mp4 and PNG. numpy, no torch."""
