"""The epochs around the steps: `fit`, its callbacks, and how it stops and goes on."""
