"""The taps of the steerable pyramid "sp0": Simoncelli's filters without orientation, as figures.

Origin of the figures: the reference's filter file, which the package pyrtools (MIT) holds too; a test compares them.
"""

from ..hdrvdp2.taps import isotropic

HIGH_PASS = isotropic("""
    0.00059972
    -6.068e-05 0.00012631
    -0.00033249 0.00049271 -0.00161665
    -0.00033256 0.00014597 -0.01437358 -0.06300923
    -0.00024066 -0.00037321 -0.02420138 -0.09623594 0.8554893
""")
"""9x9, gives the high-pass residual."""

LOW_PASS = isotropic("""
    -0.0004514
    -0.00011371 -0.00611952
    -0.00037258 -0.0134416 0.06441488
    -0.00374386 -0.0075632 0.1524935 0.3153017
""")
"""7x7, gives what the levels are made from."""

SHRINK = isotropic("""
    -0.0002257
    -0.00080644 0.00141762
    -5.686e-05 -0.00019038 -0.00305976
    0.00087414 -0.00244906 -0.006401 -0.00526002
    -0.00018628 -0.00459642 -0.0067208 0.00393862 0.03220744
    -0.00103164 -0.00700674 -0.00523618 0.01722078 0.06306262 0.1116388
    -0.00187192 -0.0069489 -0.0037816 0.024496 0.07624674 0.1348999 0.1576508
""")
"""13x13, applied before every second row and column is kept; sums to 2."""

BAND = isotropic("""
    -9.066e-05
    -0.00173864 -0.00462515
    -0.0049425 -0.00727254 -0.0212954
    -0.00788939 -0.00762341 -0.02435662 -0.01730466
    -0.01009473 -0.00909195 -0.03487008 -0.03158605 0.9464195
""")
"""9x9, the band of a level."""
