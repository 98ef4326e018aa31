/* Captions a picture with an exported SavedModel, through TensorFlow's C API alone.
 *
 *   caption EXPORT PICTURE...
 *
 * EXPORT is a version's directory of a portable export (`tfcap export --portable`); the standard
 * one needs the ops of tensorflow-text, which a bare runtime does not have. Prints one line a
 * picture: its path, a tab, its caption. Exit code 0; 1 where a picture has no caption; 2 where
 * the model cannot be used. README.md beside this file says how to build it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tensorflow/c/c_api.h>
#include <tensorflow/c/tf_tstring.h>

#define SIGNATURE "serving_default"

static void fail(const char* what, const char* detail) {
  fprintf(stderr, "caption: %s: %s\n", what, detail);
  exit(2);
}

static void check(const TF_Status* status, const char* what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

/* A stretch of serialized protocol buffer. The C API hands out the model's MetaGraphDef in that
 * form only, and it is where the names of a signature's tensors stand. */
typedef struct {
  const uint8_t* at;
  const uint8_t* end;
} Bytes;

static uint64_t read_varint(Bytes* message) {
  uint64_t value = 0;
  for (int shift = 0; message->at < message->end && shift < 64; shift += 7) {
    uint8_t byte = *message->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) break;
  }
  return value;
}

/* Advances to the next field with the number, if it is of the length-delimited kind; returns
 * whether there is one. Wire format: https://protobuf.dev/programming-guides/encoding/ */
static int next_field(Bytes* message, uint32_t number, Bytes* field) {
  while (message->at < message->end) {
    uint64_t tag = read_varint(message), size = 0;
    switch (tag & 7) {
      case 0: read_varint(message); break;
      case 1: size = 8; break;
      case 5: size = 4; break;
      case 2: size = read_varint(message); break;
      default: return 0;
    }
    if (size > (uint64_t)(message->end - message->at)) return 0;
    field->at = message->at;
    field->end = message->at += size;
    if ((tag & 7) == 2 && tag >> 3 == number) return 1;
  }
  return 0;
}

/* Finds the value of a key in a map<string, Message>, which is field `number` of the message. */
static int find_entry(Bytes message, uint32_t number, const char* key, Bytes* value) {
  Bytes entry;
  while (next_field(&message, number, &entry)) {
    Bytes keys = entry, name;
    if (next_field(&keys, 1, &name) && (size_t)(name.end - name.at) == strlen(key) &&
        memcmp(name.at, key, strlen(key)) == 0)
      return next_field(&entry, 2, value);
  }
  return 0;
}

/* Returns the graph's tensor behind an input (field 1 of SignatureDef) or output (field 2). */
static TF_Output find_tensor(TF_Graph* graph, Bytes signature, uint32_t field, const char* key) {
  Bytes info, name;
  if (!find_entry(signature, field, key, &info) || !next_field(&info, 1, &name))
    fail("the signature " SIGNATURE " has no such tensor", key);
  char operation[256] = {0};
  size_t length = (size_t)(name.end - name.at);
  if (length >= sizeof operation) fail("the name of this tensor is too long", key);
  memcpy(operation, name.at, length);
  char* colon = strrchr(operation, ':');
  TF_Output tensor = {NULL, colon ? atoi(colon + 1) : 0};
  if (colon) *colon = '\0';
  tensor.oper = TF_GraphOperationByName(graph, operation);
  if (!tensor.oper) fail("the graph lacks the operation", operation);
  return tensor;
}

static void free_string_tensor(void* data, size_t size, void* unused) {
  (void)size, (void)unused;
  TF_StringDealloc(data);
  free(data);
}

/* Returns a batch of one: a string tensor of shape [1]. */
static TF_Tensor* make_batch(const char* bytes, size_t size) {
  TF_TString* string = malloc(sizeof *string);
  int64_t shape[] = {1};
  TF_StringInit(string);
  TF_StringCopy(string, bytes, size);
  return TF_NewTensor(TF_STRING, shape, 1, string, sizeof *string, free_string_tensor, NULL);
}

static char* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  char* bytes = NULL;
  long end;
  if (!file) return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (end = ftell(file)) >= 0) {
    rewind(file);
    bytes = malloc((size_t)end + 1);
    *size = fread(bytes, 1, (size_t)end, file);
  }
  fclose(file);
  return bytes;
}

/* Prints the caption of one picture; returns whether it has one. */
static int caption(TF_Session* session, TF_Output input, const TF_Output outputs[2],
                   const char* path) {
  size_t size = 0;
  char* bytes = read_file(path, &size);
  if (!bytes) {
    fprintf(stderr, "caption: %s cannot be read\n", path);
    return 0;
  }
  TF_Status* status = TF_NewStatus();
  TF_Tensor* batch = make_batch(bytes, size);
  TF_Tensor* found[2] = {NULL, NULL};
  free(bytes);
  TF_SessionRun(session, NULL, &input, &batch, 1, outputs, found, 2, NULL, 0, NULL, status);
  check(status, path);
  const TF_TString* text = TF_TensorData(found[0]);
  const TF_TString* error = TF_TensorData(found[1]);
  int good = TF_StringGetSize(error) == 0;
  if (good)
    printf("%s\t%.*s\n", path, (int)TF_StringGetSize(text), TF_StringGetDataPointer(text));
  else
    fprintf(stderr, "caption: %s: %.*s\n", path, (int)TF_StringGetSize(error),
            TF_StringGetDataPointer(error));
  TF_DeleteTensor(batch);
  TF_DeleteTensor(found[0]);
  TF_DeleteTensor(found[1]);
  TF_DeleteStatus(status);
  return good;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: caption EXPORT PICTURE...\n");
    return 2;
  }
  const char* tags[] = {"serve"};
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_Buffer* meta_graph = TF_NewBuffer();
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph,
                                                     meta_graph, status);
  check(status, argv[1]);

  /* MetaGraphDef.signature_def is field 5, a map of SignatureDef. */
  Bytes model = {meta_graph->data, (const uint8_t*)meta_graph->data + meta_graph->length};
  Bytes signature;
  if (!find_entry(model, 5, SIGNATURE, &signature)) fail(argv[1], "no signature " SIGNATURE);
  TF_Output input = find_tensor(graph, signature, 1, "image_bytes");
  TF_Output outputs[2] = {find_tensor(graph, signature, 2, "caption"),
                          find_tensor(graph, signature, 2, "error")};
  int all_good = 1;
  for (int i = 2; i < argc; i++) all_good &= caption(session, input, outputs, argv[i]);

  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return all_good ? 0 : 1;
}
