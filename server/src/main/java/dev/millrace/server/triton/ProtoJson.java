package dev.millrace.server.triton;

import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor.JavaType;
import com.google.protobuf.Message;
import dev.millrace.server.json.JsonWriter;
import java.util.List;
import java.util.TreeMap;

/**
 * Writes messages as JSON in the way of Triton, which is not quite protobuf's: fields have the
 * names of the {@code .proto} file, numbers of 64 bits are numbers, and what is not set is written
 * with its default, unless it is a message or one choice of several.
 */
final class ProtoJson {
  private ProtoJson() {}

  /** Writes one message. */
  static void write(JsonWriter json, Message message) {
    json.beginObject();
    for (FieldDescriptor field : message.getDescriptorForType().getFields()) {
      if (field.isMapField()) {
        writeMap(json.name(field.getName()), message, field);
      } else if (field.isRepeated()) {
        json.name(field.getName()).beginArray();
        for (Object element : (List<?>) message.getField(field)) {
          writeValue(json, field, element);
        }
        json.endArray();
      } else if (!field.hasPresence() || message.hasField(field)) {
        writeValue(json.name(field.getName()), field, message.getField(field));
      }
    }
    json.endObject();
  }

  /** Sorted by key, so that the same message is always the same text. */
  private static void writeMap(JsonWriter json, Message message, FieldDescriptor field) {
    FieldDescriptor key = field.getMessageType().findFieldByName("key");
    FieldDescriptor value = field.getMessageType().findFieldByName("value");
    TreeMap<String, Object> entries = new TreeMap<>();
    for (Object element : (List<?>) message.getField(field)) {
      Message entry = (Message) element;
      entries.put(entry.getField(key).toString(), entry.getField(value));
    }
    json.beginObject();
    entries.forEach((name, each) -> writeValue(json.name(name), value, each));
    json.endObject();
  }

  private static void writeValue(JsonWriter json, FieldDescriptor field, Object value) {
    switch (value) {
      case Message message -> write(json, message);
      case EnumValueDescriptor constant -> json.string(constant.getName());
      case String text -> json.string(text);
      case Boolean flag -> json.bool(flag);
      case Float number -> json.number(number);
      case Double number -> json.number(number);
      case Integer number when isUnsigned(field) -> json.number(Integer.toUnsignedLong(number));
      case Integer number -> json.number(number);
      case Long number when isUnsigned(field) -> json.unsigned(number);
      case Long number -> json.number(number);
      default ->
          throw new IllegalArgumentException("%s has no form in JSON".formatted(field.getName()));
    }
  }

  private static boolean isUnsigned(FieldDescriptor field) {
    return (field.getJavaType() == JavaType.INT || field.getJavaType() == JavaType.LONG)
        && field.getType().name().startsWith("U");
  }
}
