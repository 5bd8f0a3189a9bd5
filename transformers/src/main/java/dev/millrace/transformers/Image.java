package dev.millrace.transformers;

import dev.millrace.api.DataType;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.Tensor;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.util.List;
import java.util.Optional;

/** Pictures, as files, into the numbers that a model takes. */
public final class Image extends StepKind {
  private enum Fit {
    CROP,
    STRETCH,
    PAD
  }

  private enum Orientation {
    UPRIGHT,
    STORED
  }

  private enum Layout {
    NCHW,
    NHWC
  }

  private enum Colour {
    RGB,
    BGR
  }

  public Image() {
    super("image");
  }

  @Override
  String summary() {
    return "Pictures, as JPEG, PNG or WebP files, raw or in base64, one in each element of a BYTES"
        + " tensor, into numbers: resized as Pillow's `BILINEAR` does, cropped, and normalised:"
        + " `(x · scale - mean) / std`, where x is from 0 to 255. They are turned upright as the"
        + " camera noted (Exif), as `ImageOps.exif_transpose` does. Transparency is left out. JPEGs of"
        + " four inks (CMYK, YCCK) become red, green and blue as in Pillow, without their colour"
        + " profile.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option("input", "name", "the only one", "The model's input of four dimensions."),
        new Option("image", "name", "`image`", "What clients send: BYTES[-1]."),
        new Option("size", "[height, width]", "what the model declares", "To what it is made."),
        new Option(
            "fit",
            "crop, stretch, pad",
            "crop",
            "How another shape is made to fit: the middle of it, all of it out of proportion, or all"
                + " of it on a ground of `pad-value`."),
        new Option(
            "resize",
            "1 to 16384",
            "just what covers the size",
            "With `crop`: how long the shorter side is made before, as in 256 for a size of 224."),
        new Option(
            "orientation",
            "upright, stored",
            "upright",
            "Whether what the camera noted is followed; `stored` is for models that were trained"
                + " without."),
        new Option("layout", "nchw, nhwc", "what the model declares", "Order of the dimensions."),
        new Option("colour", "rgb, bgr", "rgb", "Order of the colours; a model of one gets grey."),
        new Option("scale", "number", "1/255; 1 for whole numbers", "Factor before the rest."),
        new Option("mean", "number or three", "0", "What is taken off, for each colour."),
        new Option("std", "number or three", "1", "What it is divided by, for each colour."),
        new Option("pad-value", "number", "0", "The ground of `pad`, from 0 to 255."),
        new Option(
            "max-pixels",
            "1 to 1000000000",
            "16777216",
            "Pictures of more are refused before they are decoded: each pixel takes some 16 bytes."));
  }

  @Override
  String example() {
    return """
    transformers:
      - image:
          resize: 256
          mean: [0.485, 0.456, 0.406]
          std: [0.229, 0.224, 0.225]
      - top-k:
          k: 5
          labels-file: imagenet.txt
      - softmax
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source.settings());
  }

  private static final class Step extends ComputingStep {
    private final String chosen;
    private final String image;
    private final Fit fit;
    private final Optional<Integer> resize;
    private final Optional<Layout> givenLayout;
    private final Colour colour;
    private final Optional<Double> givenScale;
    private final float[] mean;
    private final float[] std;
    private final float padValue;
    private final int[] givenSize;
    private final PictureDecoder decoder;

    /** What the model takes; set when it is described. */
    private String input = "";

    private DataType type = DataType.FP32;
    private Layout layout = Layout.NCHW;
    private int channels;
    private int height;
    private int width;

    Step(Image kind, Settings settings) {
      super(kind);
      chosen = settings.string("input").orElse("");
      image = settings.string("image").orElse("image");
      fit = settings.oneOf("fit", Fit.class).orElse(Fit.CROP);
      resize = settings.integer("resize", 1, 16_384);
      if (resize.isPresent() && fit != Fit.CROP) {
        throw settings.bad("resize", resize.get(), "nothing, because fit is not crop");
      }
      givenLayout = settings.oneOf("layout", Layout.class);
      colour = settings.oneOf("colour", Colour.class).orElse(Colour.RGB);
      givenScale = StepSettings.number(settings, "scale");
      mean = three(settings, "mean", 0);
      std = three(settings, "std", 1);
      for (float divisor : std) {
        if (divisor == 0) {
          throw settings.bad("std", divisor, "numbers other than 0");
        }
      }
      padValue = StepSettings.number(settings, "pad-value").orElse(0.0).floatValue();
      float[] size = StepSettings.numbers(settings, "size");
      givenSize = new int[size.length];
      for (int i = 0; i < size.length; i++) {
        givenSize[i] = (int) size[i];
        if (size.length != 2 || givenSize[i] != size[i] || size[i] < 1 || size[i] > 16_384) {
          throw settings.bad("size", settings.list("size"), "[height, width], 1 to 16384 each");
        }
      }
      decoder =
          new PictureDecoder(
              settings.integer("max-pixels", 1, 1_000_000_000).orElse(1 << 24),
              settings.oneOf("orientation", Orientation.class).orElse(Orientation.UPRIGHT)
                  == Orientation.UPRIGHT);
    }

    private static float[] three(Settings settings, String key, float usual) {
      float[] numbers = StepSettings.numbers(settings, key);
      return switch (numbers.length) {
        case 0 -> new float[] {usual, usual, usual};
        case 1 -> new float[] {numbers[0], numbers[0], numbers[0]};
        case 3 -> numbers;
        default -> throw settings.bad(key, settings.list(key), "one number or three");
      };
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      TensorSpec spec = NamedTensors.choose(inner.inputs(), "input", chosen);
      input = spec.name();
      type = spec.dataType();
      Shape shape = spec.shape();
      if (type == DataType.BYTES || type == DataType.BOOL || shape.rank() != 4) {
        throw InferenceException.invalidArgument(
            "the input '%s' is %s%s, expected numbers of 4 dimensions"
                .formatted(input, type, shape));
      }
      boolean last = shape.dim(3) == 3 || (shape.dim(3) == 1 && shape.dim(1) != 1);
      layout = givenLayout.orElse(last && shape.dim(1) != 3 ? Layout.NHWC : Layout.NCHW);
      boolean channelsFirst = layout == Layout.NCHW;
      channels = (int) shape.dim(channelsFirst ? 1 : 3);
      if (channels < 0) {
        channels = 3;
      }
      if (channels != 1 && channels != 3) {
        throw InferenceException.invalidArgument(
            "the input '%s' is %s, which has %d channels in %s; expected 1 or 3"
                .formatted(input, shape, channels, layout));
      }
      height = size(0, shape.dim(channelsFirst ? 2 : 1), shape);
      width = size(1, shape.dim(channelsFirst ? 3 : 2), shape);
      TensorSpec sent = new TensorSpec(image, DataType.BYTES, Shape.of(shape.dim(0)));
      return inner.withInputs(NamedTensors.replace(inner.inputs(), List.of(input), List.of(sent)));
    }

    private int size(int side, long declared, Shape shape) {
      if (givenSize.length == 0 && declared < 1) {
        throw InferenceException.invalidArgument(
            "the input '%s' is %s, so the option 'size' has to say of what size it shall be"
                .formatted(input, shape));
      }
      int wanted = givenSize.length == 0 ? (int) declared : givenSize[side];
      if (declared >= 0 && declared != wanted) {
        throw InferenceException.invalidArgument(
            "the input '%s' is %s, which the option 'size' does not fit".formatted(input, shape));
      }
      return wanted;
    }

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      List<byte[]> files = NamedTensors.require(request.inputs(), image).toBytes();
      int points = Math.multiplyExact(channels, height * width);
      float[] values = new float[Math.multiplyExact(files.size(), points)];
      for (int i = 0; i < files.size(); i++) {
        try {
          write(fit(decoder.decode(files.get(i))), values, i * points);
        } catch (InferenceException e) {
          throw new InferenceException(
              e.code(), "'%s' in row %d: %s".formatted(image, i, e.getMessage()), e);
        }
      }
      Shape shape =
          layout == Layout.NCHW
              ? Shape.of(files.size(), channels, height, width)
              : Shape.of(files.size(), height, width, channels);
      Tensor tensor = Numbers.of(type, shape, values);
      return NamedTensors.replaceInputs(request, List.of(image), TensorMap.of(input, tensor));
    }

    private Picture fit(Picture picture) {
      return switch (fit) {
        case STRETCH -> picture.resize(width, height);
        case PAD -> {
          double factor =
              Math.min((double) width / picture.width(), (double) height / picture.height());
          yield picture
              .resize(
                  Math.clamp(Math.round(picture.width() * factor), 1, width),
                  Math.clamp(Math.round(picture.height() * factor), 1, height))
              .pad(width, height, padValue);
        }
        case CROP -> {
          double factor =
              Math.max((double) width / picture.width(), (double) height / picture.height());
          if (resize.isPresent()) {
            int shorter = Math.min(picture.width(), picture.height());
            factor = Math.max(factor, (double) resize.get() / shorter);
          }
          Picture large =
              picture.resize(
                  Math.max(width, scaled(picture.width(), factor)),
                  Math.max(height, scaled(picture.height(), factor)));
          yield large.crop(
              (int) Math.rint((large.width() - width) / 2.0),
              (int) Math.rint((large.height() - height) / 2.0),
              width,
              height);
        }
      };
    }

    /** Rounded down, as torchvision does; what is whole but for the last digits counts as whole. */
    private static int scaled(int length, double factor) {
      return (int) Math.floor(length * factor + 1e-6);
    }

    private void write(Picture picture, float[] values, int start) {
      boolean whole = Numbers.isWhole(type);
      float scale = givenScale.orElse(whole ? 1 : 1 / 255.0).floatValue();
      int points = height * width;
      for (int channel = 0; channel < channels; channel++) {
        int from = colour == Colour.BGR ? channels - 1 - channel : channel;
        float[] plane = channels == 1 ? picture.grey() : picture.plane(from);
        float shift = mean[channel];
        float divisor = std[channel];
        boolean planar = layout == Layout.NCHW;
        int to = planar ? start + channel * points : start + channel;
        int step = planar ? 1 : channels;
        for (int i = 0; i < points; i++) {
          float value = (plane[i] * scale - shift) / divisor;
          values[to + i * step] = whole ? Math.round(value) : value;
        }
      }
    }
  }
}
