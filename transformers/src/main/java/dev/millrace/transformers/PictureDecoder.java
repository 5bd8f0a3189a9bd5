package dev.millrace.transformers;

import com.twelvemonkeys.imageio.plugins.webp.WebPImageReaderSpi;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Base64;
import java.util.Iterator;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;
import org.jspecify.annotations.Nullable;

/**
 * Decodes JPEG and PNG by the JDK, and WebP by TwelveMonkeys. What it is, is told by its first
 * bytes; its size is looked at before it is decoded. Thread-safe.
 */
final class PictureDecoder {
  private static final WebPImageReaderSpi WEBP = new WebPImageReaderSpi();

  private final long maxPixels;
  private final boolean upright;

  /**
   * A decoder.
   *
   * @param maxPixels pictures of more are refused
   * @param upright whether pictures are turned as the camera noted; they are as stored if not
   */
  PictureDecoder(long maxPixels, boolean upright) {
    this.maxPixels = maxPixels;
    this.upright = upright;
  }

  private enum Format {
    JPEG,
    PNG,
    WEBP,
    NONE
  }

  /**
   * The picture in a file, which may be written as base64; transparency is left out.
   *
   * @throws InferenceException INVALID_ARGUMENT
   */
  Picture decode(byte[] sent) {
    byte[] file = formatOf(sent) == Format.NONE ? base64(sent) : sent;
    Format format = formatOf(file);
    ImageReader reader =
        switch (format) {
          case JPEG -> reader("jpeg");
          case PNG -> reader("png");
          case WEBP -> WEBP.createReaderInstance(null);
          case NONE ->
              throw InferenceException.invalidArgument("expected a JPEG, PNG or WebP picture");
        };
    try (ImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(file))) {
      reader.setInput(in, true, true);
      long pixels = (long) reader.getWidth(0) * reader.getHeight(0);
      if (pixels > maxPixels) {
        throw InferenceException.invalidArgument(
            "the picture is %d x %d, which is more than the %d pixels that are allowed"
                .formatted(reader.getWidth(0), reader.getHeight(0), maxPixels));
      }
      JpegHead head = format == Format.JPEG ? JpegHead.of(file) : null;
      Picture picture =
          head != null && head.components() == 4
              ? ofInks(reader.readRaster(0, null), head.inksAreYcck())
              : picture(reader.read(0));
      return upright ? picture.turned(orientation(format, head, file)) : picture;
    } catch (IOException | IndexOutOfBoundsException | IllegalArgumentException e) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "the picture cannot be decoded: " + e.getMessage(), e);
    } finally {
      reader.dispose();
    }
  }

  private static int orientation(Format format, @Nullable JpegHead head, byte[] file) {
    return switch (format) {
      case JPEG -> head == null ? Exif.UPRIGHT : head.orientation();
      case PNG -> Exif.ofPng(file);
      case WEBP -> Exif.ofWebP(file);
      case NONE -> Exif.UPRIGHT;
    };
  }

  /**
   * A picture of four inks, which are stored the other way round, as Adobe's programs do and
   * everybody since: 255 is no ink. Without a colour profile, as Pillow.
   */
  private static Picture ofInks(Raster raster, boolean ycck) {
    int points = raster.getWidth() * raster.getHeight();
    float[][] inks = new float[4][];
    for (int i = 0; i < 4; i++) {
      inks[i] = band(raster, i, 8);
    }
    float[][] planes = new float[3][points];
    for (int i = 0; i < points; i++) {
      float red = inks[0][i];
      float green = inks[1][i];
      float blue = inks[2][i];
      if (ycck) {
        float cb = inks[1][i] - 128;
        float cr = inks[2][i] - 128;
        red = 255 - whole(inks[0][i] + 1.402f * cr);
        green = 255 - whole(inks[0][i] - 0.344136f * cb - 0.714136f * cr);
        blue = 255 - whole(inks[0][i] + 1.772f * cb);
      }
      float light = inks[3][i] / 255;
      planes[0][i] = Math.round(red * light);
      planes[1][i] = Math.round(green * light);
      planes[2][i] = Math.round(blue * light);
    }
    return new Picture(raster.getWidth(), raster.getHeight(), planes);
  }

  private static float whole(float value) {
    return Math.clamp(Math.round(value), 0, 255);
  }

  private static Format formatOf(byte[] file) {
    if (startsWith(file, 0, 0xff, 0xd8, 0xff)) {
      return Format.JPEG;
    }
    if (startsWith(file, 0, 0x89, 'P', 'N', 'G')) {
      return Format.PNG;
    }
    return startsWith(file, 0, 'R', 'I', 'F', 'F') && startsWith(file, 8, 'W', 'E', 'B', 'P')
        ? Format.WEBP
        : Format.NONE;
  }

  private static boolean startsWith(byte[] file, int offset, int... bytes) {
    if (file.length < offset + bytes.length) {
      return false;
    }
    for (int i = 0; i < bytes.length; i++) {
      if ((file[offset + i] & 0xff) != bytes[i]) {
        return false;
      }
    }
    return true;
  }

  /** What base64 text stands for; nothing if it is none. */
  private static byte[] base64(byte[] text) {
    try {
      return Base64.getMimeDecoder().decode(text);
    } catch (IllegalArgumentException e) {
      return new byte[0];
    }
  }

  private static ImageReader reader(String format) {
    Iterator<ImageReader> readers = ImageIO.getImageReadersByFormatName(format);
    if (!readers.hasNext()) {
      throw new IllegalStateException("this Java cannot read " + format);
    }
    return readers.next();
  }

  private static Picture picture(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    // The JDK would read grey as linear light and brighten it.
    if (image.getColorModel().getColorSpace().getType() == ColorSpace.TYPE_GRAY) {
      int bits = image.getColorModel().getComponentSize(0);
      return new Picture(width, height, band(image.getRaster(), 0, bits));
    }
    if (image.getType() == BufferedImage.TYPE_3BYTE_BGR) {
      float[][] planes = new float[3][];
      for (int i = 0; i < 3; i++) {
        planes[i] = band(image.getRaster(), i, 8);
      }
      return new Picture(width, height, planes);
    }
    float[][] planes = new float[3][width * height];
    int[] row = new int[width];
    for (int y = 0; y < height; y++) {
      image.getRGB(0, y, width, 1, row, 0, width);
      for (int x = 0; x < width; x++) {
        planes[0][y * width + x] = (row[x] >> 16) & 0xff;
        planes[1][y * width + x] = (row[x] >> 8) & 0xff;
        planes[2][y * width + x] = row[x] & 0xff;
      }
    }
    return new Picture(width, height, planes);
  }

  /** One band as numbers from 0 to 255. */
  private static float[] band(Raster raster, int band, int bits) {
    int width = raster.getWidth();
    int height = raster.getHeight();
    float[] values = new float[width * height];
    raster.getSamples(raster.getMinX(), raster.getMinY(), width, height, band, values);
    float largest = (1 << bits) - 1;
    if (bits != 8) {
      for (int i = 0; i < values.length; i++) {
        values[i] *= 255 / largest;
      }
    }
    return values;
  }
}
