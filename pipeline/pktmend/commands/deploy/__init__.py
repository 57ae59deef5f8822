"""`pktmend deploy`: the files that run it as a service, as they come with the package, fitted to a place.

Rules of this folder:
1. What is printed is what lies in the package; without options it is that to the byte.
2. Options change single values in the text, so that its remarks stay; what they do not fit is an error.
3. Nothing is applied and no other program is run: whoever asked does that.
"""
