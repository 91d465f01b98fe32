"""The subcommands of `tfl`, one module each; the scripts in `scripts/` call the same modules.

A module has flags, `main(argv)` and `run()`. Its flags are global, so only one of these modules may be imported at a
time: `tfl.completion.words` imports all of them, and removes the flags of each before the next.
"""

COMMANDS = {
    "train": "train, evaluate and save a model, with a report",
    "evaluate": "measure a finished run on its test split or on other data",
    "predict": "predict files, as CSV",
    "report": "write the report of a finished run again",
    "compare": "compare finished runs: which is better, and is it more than chance",
    "export": "write SavedModel, LiteRT, ONNX and Keras files with a certificate",
    "serve": "predict over HTTP, with a web page",
    "preview": "write a picture of what the network sees, before and after augmentation",
    "audit": "look for wrong labels, duplicates, leaks and shortcuts in a data set",
    "value": "measure what pre-training was worth for a data set, in labels",
    "pretrain": "pre-train a backbone on your own images, with or without labels",
    "rank": "rank pretrained networks for a data set, without training any",
    "search": "search for the options with the smallest held-out loss",
    "update": "add and remove photos of a finished run without training anew",
    "convert": "write a data set into TFRecord or ArrayRecord files",
    "features": "write the features of a frozen backbone for other programs",
    "backbones": "list the pretrained networks",
    "options": "list the options that --config.OPTION=VALUE sets",
    "launch": "run a command as several workers on this machine",
    "completion": "print a script that lets bash, zsh or fish complete commands",
}
