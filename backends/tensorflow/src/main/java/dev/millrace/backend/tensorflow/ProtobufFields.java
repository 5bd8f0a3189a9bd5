package dev.millrace.backend.tensorflow;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import java.io.IOException;

/** Walks through the fields of a message of which only a few are wanted. */
final class ProtobufFields {
  private ProtobufFields() {}

  /** Takes a field whose value is a text, bytes or a message. */
  interface Field {
    /**
     * Reads the value, or leaves it to be passed over.
     *
     * @return whether it was read
     */
    boolean read(int number, CodedInputStream in) throws IOException;
  }

  /** Reads a message that stands in another one, with its length before it. */
  static void readMessage(CodedInputStream in, Field field) throws IOException {
    int limit = in.pushLimit(in.readRawVarint32());
    readFields(in, field);
    in.popLimit(limit);
  }

  /** Reads all fields up to the end. */
  static void readFields(CodedInputStream in, Field field) throws IOException {
    for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
      boolean delimited = WireFormat.getTagWireType(tag) == WireFormat.WIRETYPE_LENGTH_DELIMITED;
      if (!delimited || !field.read(WireFormat.getTagFieldNumber(tag), in)) {
        in.skipField(tag);
      }
    }
  }
}
