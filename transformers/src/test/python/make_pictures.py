"""Writes the pictures that the tests decode, and what Pillow makes of them: run as

    pip install pillow==13.0.0 numpy==2.4.6
    python make_pictures.py ../resources/pictures

Each picture is 40 x 30. NAME.txt has it upright, as torchvision's Resize(8) and CenterCrop(8) make it: 10 x 8 by
BILINEAR, and the middle of that, as rows of red, then green, then blue.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

OUT = Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)

y, x = np.mgrid[0:30, 0:40]
colours = np.stack([x * 6, y * 8, (x * y) % 256], axis=-1).astype(np.uint8)
picture = Image.fromarray(colours)
grey = Image.fromarray((x * 4 + y * 3).astype(np.uint8))
palette = picture.quantize(16)
transparent = picture.copy()
transparent.putalpha(Image.fromarray((x * 6).astype(np.uint8)))
deep = Image.fromarray((x * 1600 + y * 60).astype(np.uint16))

picture.save(OUT / "colours.png")
picture.save(OUT / "colours.jpg", quality=95, subsampling=0)
picture.save(OUT / "colours.webp", lossless=True)
picture.save(OUT / "lossy.webp", quality=90)
grey.save(OUT / "grey.png")
grey.save(OUT / "grey.jpg", quality=95)
palette.save(OUT / "palette.png")
transparent.save(OUT / "transparent.png")
deep.save(OUT / "deep.png")

cyan, magenta, yellow = (255 - colours[..., i].astype(int) for i in range(3))
plates = (cyan // 2, magenta, yellow // 2, (cyan + yellow) // 4)
inks = Image.merge("CMYK", [Image.fromarray(plate.astype(np.uint8)) for plate in plates])
inks.save(OUT / "inks.jpg", quality=95, subsampling=0)
# The same numbers, read as brightness, colour and black: what Adobe's mark says in its last byte.
ycck = bytearray((OUT / "inks.jpg").read_bytes())
ycck[ycck.index(b"Adobe") + 11] = 2
(OUT / "ycck.jpg").write_bytes(ycck)

for name, orientation in (("turned.jpg", 6), ("turned.png", 5), ("turned.webp", 8)):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(OUT / name, exif=exif, **({"lossless": True} if name.endswith("webp") else {"quality": 95}))

for file in sorted(OUT.iterdir()):
    if file.suffix == ".txt":
        continue
    opened = Image.open(file)
    if opened.mode.startswith("I"):  # Pillow would cut 16 bits off, not scale them
        opened = Image.fromarray((np.asarray(opened) / 257).round().astype(np.uint8))
    rgb = ImageOps.exif_transpose(opened.convert("RGB") if opened.mode == "CMYK" else opened).convert("RGB")
    lying = rgb.height > rgb.width
    size, middle = ((8, 10), (0, 1, 8, 9)) if lying else ((10, 8), (1, 0, 9, 8))
    rgb = rgb.resize(size, Image.Resampling.BILINEAR).crop(middle)
    rows = np.asarray(rgb).transpose(2, 0, 1).reshape(24, 8)
    np.savetxt(OUT / (file.name + ".txt"), rows, fmt="%d")
