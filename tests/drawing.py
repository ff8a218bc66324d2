"""Photos for tests, drawn from a seed: real pixels, and metadata that must not survive."""

import io
import random

from PIL import ExifTags, Image, ImageDraw, PngImagePlugin

SECRET = "SECRET-LOCATION"  # stands in every metadata field; no stored or served byte may contain it


def picture(seed: int = 0, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Random shapes, so that different seeds differ for a perceptual hash too."""
    rng = random.Random(seed)
    image = Image.new("RGB", size, tuple(rng.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        w, h = rng.randrange(20, size[0]), rng.randrange(20, size[1])
        shape = rng.choice((draw.ellipse, draw.rectangle))
        shape((x - w // 2, y - h // 2, x + w // 2, y + h // 2), fill=tuple(rng.randrange(256) for _ in range(3)))
    return image


def exif(orientation: int = 1) -> Image.Exif:
    """Camera, time, place and comment, as a phone writes them."""
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = orientation
    tags[ExifTags.Base.Model] = "Phone 7"
    tags[ExifTags.Base.ImageDescription] = SECRET
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:11:20 14:37:05"
    tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = SECRET
    tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = SECRET
    return tags


def jpeg(seed: int = 0, *, size: tuple[int, int] = (640, 480), orientation: int = 1, progressive: bool = False) -> bytes:
    file = io.BytesIO()
    picture(seed, size).save(
        file,
        "JPEG",
        quality=88,
        exif=exif(orientation),
        comment=SECRET,
        xmp=f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode(),
        icc_profile=SECRET.encode() * 20,
        progressive=progressive,
    )
    return file.getvalue()


def png(seed: int = 0, *, size: tuple[int, int] = (320, 240), alpha: bool = False) -> bytes:
    file, texts = io.BytesIO(), PngImagePlugin.PngInfo()
    texts.add_text("Comment", SECRET)
    texts.add_itxt("XML:com.adobe.xmp", SECRET, zip=False)
    image = picture(seed, size)
    if alpha:
        image.putalpha(128)
    image.save(file, "PNG", pnginfo=texts, exif=exif())
    return file.getvalue()


def webp(seed: int = 0, *, size: tuple[int, int] = (320, 240), alpha: bool = False, lossless: bool = False) -> bytes:
    file = io.BytesIO()
    image = picture(seed, size)
    if alpha:
        image.putalpha(128)
    image.save(file, "WEBP", exif=exif(), xmp=SECRET.encode(), icc_profile=SECRET.encode() * 20, lossless=lossless)
    return file.getvalue()
