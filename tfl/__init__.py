def transfer(c,w): print(c, w)
