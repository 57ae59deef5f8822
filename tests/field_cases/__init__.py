"""Small captures made after public reports and after what networks do, each with what a right diagnosis says of it.

Everything here is built from `struct` and RFC 1071: nothing of the product makes, reads or judges these packets.
"""
