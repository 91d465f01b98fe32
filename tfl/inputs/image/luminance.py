"""How bright a colour is."""

LUMINANCE = (0.299, 0.587, 0.114)  # weights of red, green and blue, as in JPEG (ITU-R BT.601)
