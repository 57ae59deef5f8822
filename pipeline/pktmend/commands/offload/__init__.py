"""`pktmend offload`: change offloads in any namespace, put them back, and keep them by a policy.

words    ethtool's short words, and the features behind them
memory   what was changed, and what it was before
change   set and restore, feature by feature
run      show, set, restore
keep     a rule for what was set, written to the policy
measure  what a change costs, in a throw-away pair
recipes  the same change for other programs to make: systemd, udev, CNI, ...
rules    the policy: a file of rules
links    what rules ask of a link
enforce  a policy upon the links of a namespace
policy   once, or only looked at
watch    upon what comes later
"""
