package dev.millrace.transformers;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.millrace.api.DataType;
import dev.millrace.api.ErrorCode;
import dev.millrace.api.InferenceException;
import dev.millrace.api.InferenceRequest;
import dev.millrace.api.ModelMetadata;
import dev.millrace.api.Settings;
import dev.millrace.api.Shape;
import dev.millrace.api.TensorMap;
import dev.millrace.api.TensorSpec;
import dev.millrace.api.spi.Transformer;
import dev.millrace.api.spi.TransformerSource;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Texts, or pairs of texts, into the numbers of their tokens, by a {@code tokenizer.json}. */
public final class Tokenizer extends StepKind {
  /** To which length the rows of a request are filled up. */
  private enum Padding {
    LONGEST,
    MAX_LENGTH
  }

  /** How what is too long is cut. */
  private enum Truncation {
    LONGEST_FIRST,
    ONLY_FIRST,
    ONLY_SECOND,
    OFF
  }

  public Tokenizer() {
    super("tokenizer");
  }

  @Override
  String summary() {
    return "Texts into the numbers of their tokens, by Hugging Face's library and a `tokenizer.json`,"
        + " as `AutoTokenizer` writes it. Clients send texts; the model gets the inputs `ids`, and"
        + " `mask` and `types` if it has them, of INT64 or INT32 as it declares.";
  }

  @Override
  List<Option> options() {
    return List.of(
        new Option("file", "path", "`tokenizer.json`", "The tokenizer; beside the model's files."),
        new Option("text", "name", "`text`", "The input that clients send: BYTES[-1]."),
        new Option(
            "pair",
            "name",
            "none",
            "A second input that clients send: the other half of each row, as a question's answer."),
        new Option("ids", "name", "`input_ids`", "The model's input for the tokens."),
        new Option(
            "mask", "name", "`attention_mask`", "The model's input that is 1 where a token is."),
        new Option(
            "types", "name", "`token_type_ids`", "The model's input for the halves of a pair."),
        new Option(
            "max-length",
            "1 to 1048576",
            "what the file says, else no limit",
            "Most tokens of a row, the special ones included."),
        new Option(
            "truncation",
            "longest-first, only-first, only-second, off",
            "longest-first",
            "What is cut of a row that is longer; `off` refuses it."),
        new Option(
            "padding",
            "longest, max-length",
            "longest",
            "To what the rows of a request are filled up. With `longest`, requests of different"
                + " lengths share a batch by the model's own setting `padding`."),
        new Option(
            "pad-to-multiple-of", "1 to 4096", "1", "Lengths are rounded up to a multiple of it."),
        new Option("pad-id", "number", "what the file says", "Token that rows are filled up with."),
        new Option(
            "special-tokens",
            "true or false",
            "true",
            "Whether the tokens that begin and end a text are added."));
  }

  @Override
  String example() {
    return """
    transformers:
      - tokenizer:
          max-length: 256
      - pooling:
          mode: mean
    """;
  }

  @Override
  public Transformer create(TransformerSource source) {
    return new Step(this, source);
  }

  private static final class Step extends ComputingStep {
    private final TokenizersLibrary library = TokenizerLibrary.functions();
    private final String text;
    private final Optional<String> pair;
    private final String ids;
    private final String mask;
    private final String types;
    private final int maxLength;
    private final Truncation truncation;
    private final Padding padding;
    private final int multiple;
    private final long padId;
    private final long padTypeId;
    private final boolean padsLeft;
    private final boolean specialTokens;
    private final long handle;

    /** The types of the model's inputs, set when it is described; empty where it has none. */
    private DataType idType = DataType.INT64;

    private Optional<DataType> maskType = Optional.of(DataType.INT64);
    private Optional<DataType> typeType = Optional.empty();

    Step(Tokenizer kind, TransformerSource source) {
      super(kind);
      Settings settings = source.settings();
      text = settings.string("text").orElse("text");
      pair = settings.string("pair");
      ids = settings.string("ids").orElse("input_ids");
      mask = settings.string("mask").orElse("attention_mask");
      types = settings.string("types").orElse("token_type_ids");
      Path path = source.file("file", "tokenizer.json");
      TokenizerFile file = TokenizerFile.read(path);
      maxLength =
          settings
              .integer("max-length", 1, 1 << 20)
              .orElse(file.maxLength().orElse(Integer.MAX_VALUE));
      truncation = settings.oneOf("truncation", Truncation.class).orElse(Truncation.LONGEST_FIRST);
      padding = settings.oneOf("padding", Padding.class).orElse(Padding.LONGEST);
      if (padding == Padding.MAX_LENGTH && maxLength == Integer.MAX_VALUE) {
        throw settings.bad("max-length", "nothing", "a number, because padding is max-length");
      }
      multiple = settings.integer("pad-to-multiple-of", 1, 4096).orElse(1);
      padId =
          settings
              .integer("pad-id", 0, Integer.MAX_VALUE)
              .map(Integer::longValue)
              .orElse(file.padId());
      padTypeId = file.padTypeId();
      padsLeft = file.padsLeft();
      specialTokens = settings.bool("special-tokens").orElse(true);
      handle = open(path, file);
    }

    private long open(Path path, TokenizerFile file) {
      long opened;
      try {
        opened = library.createTokenizerFromString(file.json());
      } catch (RuntimeException e) {
        throw new InferenceException(
            ErrorCode.FAILED_PRECONDITION,
            "%s is not a tokenizer.json: %s".formatted(path, e.getMessage()),
            e);
      }
      library.disablePadding(opened);
      if (truncation == Truncation.OFF || maxLength == Integer.MAX_VALUE) {
        library.disableTruncation(opened);
      } else {
        library.setTruncation(opened, maxLength, truncation.name(), 0);
      }
      return opened;
    }

    @Override
    public ModelMetadata describe(ModelMetadata inner) {
      if (!inner.inputs().isEmpty()) {
        idType = type(NamedTensors.require(inner.inputs(), "input", ids));
        maskType = inner.input(mask).map(Step::type);
        typeType = inner.input(types).map(Step::type);
      }
      List<TensorSpec> texts = new ArrayList<>();
      texts.add(new TensorSpec(text, DataType.BYTES, Shape.of(Shape.ANY)));
      pair.ifPresent(name -> texts.add(new TensorSpec(name, DataType.BYTES, Shape.of(Shape.ANY))));
      return inner.withInputs(
          NamedTensors.replace(inner.inputs(), List.of(ids, mask, types), texts));
    }

    private static DataType type(TensorSpec spec) {
      if ((spec.dataType() == DataType.INT64 || spec.dataType() == DataType.INT32)
          && (!spec.shape().hasRank() || spec.shape().rank() == 2)) {
        return spec.dataType();
      }
      throw InferenceException.invalidArgument(
          "the model's input '%s' is %s%s, and the tokenizer makes INT64[-1,-1] or INT32[-1,-1]"
              .formatted(spec.name(), spec.dataType(), spec.shape()));
    }

    /** The tokens of one row, and which half each is of. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Row(long[] ids, long[] types) {}

    @Override
    public InferenceRequest preprocess(InferenceRequest request) {
      List<String> texts = NamedTensors.require(request.inputs(), text).toStrings();
      List<String> pairs =
          pair.isEmpty()
              ? List.of()
              : NamedTensors.require(request.inputs(), pair.get()).toStrings();
      if (pair.isPresent() && pairs.size() != texts.size()) {
        throw InferenceException.invalidArgument(
            "'%s' has %d texts and '%s' %d; they have to be as many"
                .formatted(text, texts.size(), pair.get(), pairs.size()));
      }
      Row[] rows = new Row[texts.size()];
      for (int i = 0; i < rows.length; i++) {
        rows[i] = encode(i, texts.get(i), pairs.isEmpty() ? null : pairs.get(i));
      }
      List<String> removed = pair.isEmpty() ? List.of(text) : List.of(text, pair.get());
      return NamedTensors.replaceInputs(request, removed, tensors(rows));
    }

    private Row encode(int index, String first, @Nullable String second) {
      long encoding =
          second == null
              ? library.encode(handle, first, specialTokens)
              : library.encodeDual(handle, first, second, specialTokens);
      try {
        Row row =
            new Row(
                library.getTokenIds(encoding),
                typeType.isPresent() ? library.getTypeIds(encoding) : new long[0]);
        if (row.ids.length > maxLength) {
          throw InferenceException.invalidArgument(
              "text %d has %d tokens, at most %d are allowed"
                  .formatted(index, row.ids.length, maxLength));
        }
        return row;
      } finally {
        library.deleteEncoding(encoding);
      }
    }

    private TensorMap tensors(Row[] rows) {
      int longest = padding == Padding.MAX_LENGTH ? maxLength : 0;
      for (Row row : rows) {
        longest = Math.max(longest, row.ids.length);
      }
      int width = Math.ceilDiv(Math.max(1, longest), multiple) * multiple;
      Shape shape = Shape.of(rows.length, width);
      long[] values = new long[Math.multiplyExact(rows.length, width)];
      try (TensorMap.Builder tensors = TensorMap.builder()) {
        fill(rows, width, values, Part.IDS);
        tensors.put(ids, Numbers.of(idType, shape, values));
        if (maskType.isPresent()) {
          fill(rows, width, values, Part.MASK);
          tensors.put(mask, Numbers.of(maskType.get(), shape, values));
        }
        if (typeType.isPresent()) {
          fill(rows, width, values, Part.TYPES);
          tensors.put(types, Numbers.of(typeType.get(), shape, values));
        }
        return tensors.build();
      }
    }

    private enum Part {
      IDS,
      MASK,
      TYPES
    }

    private void fill(Row[] rows, int width, long[] values, Part part) {
      for (int i = 0; i < rows.length; i++) {
        int length = rows[i].ids.length;
        int start = i * width;
        int first = padsLeft ? start + width - length : start;
        long pad =
            switch (part) {
              case IDS -> padId;
              case MASK -> 0;
              case TYPES -> padTypeId;
            };
        Arrays.fill(values, start, start + width, pad);
        switch (part) {
          case IDS -> System.arraycopy(rows[i].ids, 0, values, first, length);
          case MASK -> Arrays.fill(values, first, first + length, 1);
          case TYPES -> System.arraycopy(rows[i].types, 0, values, first, length);
        }
      }
    }

    @Override
    public void close() {
      library.deleteTokenizer(handle);
    }
  }
}
