"""`backbone.name=torch:FILE`: networks with the weights of torchvision or timm, built of plain Keras layers.

The sizes of a network are read from the shapes in the file, so one builder makes all members of a family. Padding,
epsilon and scaling of pixels are not in the file; they follow from the name of the network.
"""
