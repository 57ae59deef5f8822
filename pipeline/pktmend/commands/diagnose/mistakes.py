"""Which mistakes of a program that computes checksums would have given exactly the stored value of a sample?

Rules of this file:
1. A mistake is asked for one sample at a time; it gives one value, and fits or does not.  One in 65,536 fits by chance.
2. What a mistake leaves open (a length, a number of bytes) is solved for and becomes part of its name: it is a mistake
   of several packets only if they all have the same.
3. Nothing is concluded here: rules_arithmetic.py does, over several packets.
4. Hundreds of packets are asked for while somebody waits: what goes through a packet byte by byte first makes sure, by
   a way that is fast in Python, that something can be there.

Sums are one's complement numbers below 0xffff; the two zeros are one.  Source: RFC 1071.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import accumulate, count
from operator import add
from typing import Final

from pktmend.commands.diagnose.facts.arithmetic import Summed
from pktmend.commands.diagnose.samples import Sample, address_words
from pktmend.enums import Proto

Named = tuple[Summed, int]  # a mistake, and what it leaves open (0 if nothing)

MODULUS: Final = 0xFFFF
HIGH: Final = range(0, 0x10000, 0x100)  # by a byte: its value as the first of a word
NUMBERS: Final = {Proto.TCP: 6, Proto.UDP: 17, Proto.UDPLITE: 136, Proto.ICMPV6: 58, Proto.DCCP: 33}
ALIKE: Final = {6: (17,), 17: (6,), 58: (1,), 136: (17,)}  # numbers that are taken for one another
EXTENSIONS: Final = (0, 43, 44, 60)  # headers of IPv6 whose number is taken for the protocol's; a hop may take them off
FIXED_HEADER: Final = {Proto.UDP: 8, Proto.ICMP: 8, Proto.ICMPV6: 8}
LONGEST: Final = 1518  # bytes of a frame whose sum may be that of a part of it; a longer one may be coalesced
WORTH: Final = 4  # bytes that an odd prefix leaves out at least
UNPADDED: Final = 46  # bytes that Ethernet carries at least
SHORTEST: Final = 8  # bytes that a prefix has


def mistakes_of(s: Sample) -> set[Named]:
    """Return every mistake that gives the stored value.

    Empty where the sample was not kept whole.  Of a good checksum: every mistake that makes no difference there.
    """
    packet = bytearray(s.frame[s.start : s.start + s.length])
    if not is_whole(s):
        return set()
    field = s.offset - s.start
    packet[field : field + 2] = bytes(2)
    words = [*struct.unpack_from(f">{len(packet) // 2}H", packet)]
    if len(packet) % 2:
        words.append(packet[-1] << 8)
    if s.proto == Proto.IP:
        return set(_carries(s, words))
    wanted = -s.stored % MODULUS  # by the sum of everything
    found = set(_pseudo_headers(s, (wanted - sum(words)) % MODULUS))
    found.update(_last_bytes(s, packet, wanted, sum(words)))
    found.update(_headers(s, words, wanted))
    found.update(_paddings(s, packet, wanted - sum(words)))
    found.update(_carries(s, words))
    if s.wirelen <= LONGEST:
        parts = _parts(packet)
        found.update(_prefixes(s, packet, parts[:-1], wanted))
        found.update(_odd_pieces(s, parts, wanted))
    return found


def is_whole(s: Sample) -> bool:
    """Can it be asked?"""
    return s.width == 2 and s.length >= SHORTEST and len(s.frame) >= s.start + s.length


def _seed(s: Sample) -> int:
    return s.seed or 0


def _pseudo_headers(s: Sample, pseudo: int) -> Iterator[Named]:
    """pseudo: what the pseudo header must have come to."""
    own = NUMBERS.get(s.proto)
    if s.seed is None or own is None:
        return
    if pseudo == 0:
        yield Summed.NO_PSEUDO_HEADER, 0
    rest = (pseudo - _seed(s)) % MODULUS  # what the number or the length must have been more than they are
    for other in ALIKE.get(own, ()) + (EXTENSIONS if s.version == 6 else ()):
        if rest == (other - own) % MODULUS and (s.version == 4 or other != _first_header(s, own)):
            yield Summed.PROTOCOL, other
    if s.version == 6:
        number = _first_header(s, own) - own
        if rest == number % MODULUS:
            yield Summed.FIRST_HEADER, 0
        if rest == (number + _headers_before(s)) % MODULUS:
            yield Summed.FIRST_HEADER_AND_LENGTH, 0
    yield Summed.LENGTH, (s.length + rest) % MODULUS
    if rest == _headers_before(s) % MODULUS:
        yield Summed.PACKET_LENGTH, 0
    number, length = own * 0xFF, _swap(s.length & 0xFFFF) - (s.length & 0xFFFF)
    for kind, more in (
        (Summed.ORDER_OF_NUMBER, number),
        (Summed.ORDER_OF_LENGTH, length),
        (Summed.ORDER_OF_BOTH, number + length),
    ):
        if rest == more % MODULUS:
            yield kind, 0
    yield from _addresses(s, pseudo, (s.length + own) % MODULUS)


def _addresses(s: Sample, pseudo: int, others: int) -> Iterator[Named]:
    """others: what the pseudo header has beside addresses."""
    source, target = (sum(address_words(address)) for address in (s.source, s.target))
    for kind, some in ((Summed.NO_SOURCE, target), (Summed.NO_TARGET, source), (Summed.NEXT_HOP, source + target)):
        if (some + others - pseudo) % MODULUS == 0:
            yield kind, 0


def network_of(s: Sample) -> int:
    """Where the sample's IP header lies, -1 if that is not found."""
    if s.version == 4:
        candidates: range | tuple[int, ...] = range(s.start - 20, max(s.start - 61, -1), -4)
    else:
        candidates = range(s.start - 40, max(s.start - 40 - 8 * 64, -1), -8)
    for at in candidates:
        header = s.frame[at : at + 40]
        if s.version == 4 and header[0] >> 4 == 4 and (header[0] & 15) * 4 == s.start - at:
            return at
        if s.version == 6 and header[0] >> 4 == 6 and int.from_bytes(header[4:6]) == s.start + s.length - at - 40:
            return at
    return -1


def _first_header(s: Sample, own: int) -> int:
    """Return the IPv6 header's next one: an extension header's number, or the protocol's own."""
    at = network_of(s)
    return s.frame[at + 6] if at >= 0 else own


def _headers_before(s: Sample) -> int:
    """Return the bytes that the IP header's own length counts before the transport header."""
    at = network_of(s)
    return 0 if at < 0 else s.start - at - (40 if s.version == 6 else 0)


def _last_bytes(s: Sample, packet: bytearray, wanted: int, total: int) -> Iterator[Named]:
    last = packet[-1] if len(packet) % 2 else 0
    rest = (wanted - _seed(s) - total) % MODULUS
    if rest == -(last << 8) % MODULUS:
        yield Summed.WITHOUT_LAST_BYTE, 0
    if rest == (last - (last << 8)) % MODULUS:
        yield Summed.LAST_BYTE_LOW, 0


def _headers(s: Sample, words: list[int], wanted: int) -> Iterator[Named]:
    header = words[6] >> 12 << 2 if s.proto == Proto.TCP and len(words) > 6 else FIXED_HEADER.get(s.proto, 0)
    if not header or header > s.length:
        return
    part = sum(words[: header // 2])
    if (part + _seed(s) - wanted) % MODULUS == 0:
        yield Summed.HEADER, 0
    if s.seed is not None and (part + s.seed - s.length + header - wanted) % MODULUS == 0:
        yield Summed.HEADER_AND_LENGTH, 0
    if s.seed is not None and (part - wanted) % MODULUS == 0:
        yield Summed.HEADER_BARE, 0


def _paddings(s: Sample, packet: bytearray, pseudo: int) -> Iterator[Named]:
    """Ethernet's padding up to 46 bytes counted, by who summed or by who wrote the IP header's length afterwards."""
    at = network_of(s) if s.seed is not None else -1
    if at < 0:
        return
    rest = (pseudo - _seed(s)) % MODULUS
    header = s.start - at
    if rest == max(UNPADDED - header - s.length, 0):
        yield Summed.PADDED_LENGTH, 0
    zeros = len(packet) - len(packet.rstrip(b"\0")) if header + s.length == UNPADDED else 0
    if (not rest and not zeros) or 0 < -rest % MODULUS <= zeros:
        yield Summed.LENGTH_BEFORE_PADDING, 0


def _parts(packet: bytearray) -> list[int]:
    """Return the sums of the first byte, the first two, and so on."""
    halves = list(packet)
    halves[::2] = map(HIGH.__getitem__, packet[::2])
    return list(accumulate(halves))


def _odd_pieces(s: Sample, parts: list[int], wanted: int) -> Iterator[Named]:
    """A packet in pieces, the first of which has an odd number of bytes: all behind it is in the other halves."""
    # A number times 256 is the number with its bytes swapped, so part + (whole - part) * 256 + seed is to be wanted.
    # 255 parts are known by that, and the modulus is 255 * 257.
    known = parts[-1] * 256 + _seed(s) - wanted
    if known % 255:
        return
    rest = known // 255 % 257
    for n in [i * 2 + 1 for i, part in enumerate(parts[::2]) if part % 257 == rest]:
        if SHORTEST <= n < len(parts):
            yield Summed.ODD_PIECE, n


def _prefixes(s: Sample, packet: bytearray, parts: list[int], wanted: int) -> Iterator[Named]:
    """Over so many bytes, fewer than there are; of prefixes of equal sum (zeros at the end) each is named."""
    sums, sums_and_lengths = {*parts}, {*map(add, parts, count(1))}
    if (
        sums.isdisjoint(_equal(wanted - _seed(s), parts))
        and sums.isdisjoint(_equal(wanted, parts))
        and sums_and_lengths.isdisjoint(_equal(wanted - _seed(s) + s.length, parts))
    ):
        return
    field = s.offset - s.start
    rest_counts = [0, *accumulate(map(bool, reversed(packet)))][::-1]  # bytes behind the first n that are not 0
    for n, part in enumerate(parts, 1):
        if n % 2 and rest_counts[n] < WORTH:
            continue  # a word that is off by one looks like that
        if SHORTEST <= n < s.length and n > field:
            rest = (wanted - part) % MODULUS
            if rest == _seed(s) % MODULUS:
                yield Summed.PREFIX, n
            if s.seed is not None:
                if rest == (s.seed - s.length + n) % MODULUS:
                    yield Summed.PREFIX_AND_LENGTH, n
                if rest == 0:
                    yield Summed.PREFIX_BARE, n


def _equal(wanted: int, parts: list[int]) -> range:
    """Return the sums that come to *wanted*, as far as those of *parts* and a length go."""
    return range(wanted % MODULUS, parts[-1] + len(parts) + 1, MODULUS)


def _carries(s: Sample, words: list[int]) -> Iterator[Named]:
    """Carries dropped, or added once; in the order of the network's bytes and of a little-endian machine's.

    The pseudo header is added in 16-bit words, as the source of such programs has it.
    """
    if s.seed is None:
        pseudo: list[int] = []
    else:
        at = network_of(s)
        if at < 0:
            return
        addresses = s.frame[at + 12 : at + 20] if s.version == 4 else s.frame[at + 8 : at + 40]
        pseudo = [int.from_bytes(addresses[i : i + 2]) for i in range(0, len(addresses), 2)]
        pseudo += [NUMBERS.get(s.proto, 0), s.length & 0xFFFF, s.length >> 16]
    everything = [*pseudo, *words]
    whole, high = sum(everything), sum([word >> 8 for word in everything])
    for is_swapped, total in ((False, whole), (True, high + (whole - (high << 8) << 8))):
        for kind, value in (
            (Summed.NO_CARRY, total & 0xFFFF),
            (Summed.CARRY_ONCE, (total & 0xFFFF) + (total >> 16) & 0xFFFF),
        ):
            value ^= 0xFFFF
            value = _swap(value) if is_swapped else value
            if value == s.stored or (value == 0 and s.stored == 0xFFFF and s.proto == Proto.UDP):
                yield kind, int(is_swapped)


def _swap(word: int) -> int:
    return word >> 8 | (word & 0xFF) << 8
