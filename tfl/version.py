"""The version of tfl."""

VERSION = "0.1.0"
