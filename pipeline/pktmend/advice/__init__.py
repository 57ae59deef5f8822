"""What `diagnose` and `doctor` share, which do not import each other: one shape and one text of what they find.

finding          a Finding and a Remedy, as both commands report them
place            how an interface is named for people
remedies         the commands that both recommend
userspace_hops   processes that pass frames on past the kernel
text             word wrap, and a finding's remedies as lines
"""
