// Captions pictures with an exported SavedModel, through TensorFlow's C API alone.
//
//	caption EXPORT PICTURE...
//
// EXPORT is a version's directory of a portable export (`tfcap export --portable`); the standard
// one needs the ops of tensorflow-text, which a bare runtime does not have. Prints one line a
// picture: its path, a tab, its caption. Exit code 0; 1 where a picture has no caption; 2 where
// the model cannot be used. README.md beside this file says how to build it.
package main

/*
#include <stdlib.h>
#include <tensorflow/c/c_api.h>
#include <tensorflow/c/tf_tstring.h>

static void free_batch(void* data, size_t size, void* unused) {
  (void)size, (void)unused;
  TF_StringDealloc(data);
  free(data);
}

// Returns a string tensor of shape [1].
static TF_Tensor* new_batch(const void* bytes, size_t size) {
  TF_TString* string = malloc(sizeof *string);
  int64_t shape[] = {1};
  TF_StringInit(string);
  TF_StringCopy(string, bytes, size);
  return TF_NewTensor(TF_STRING, shape, 1, string, sizeof *string, free_batch, NULL);
}
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"
)

const signature = "serving_default"

// fields returns the length-delimited fields with a number in a serialized protocol buffer. The C
// API hands out the model's MetaGraphDef in that form, and the names of tensors stand in it.
// Wire format: https://protobuf.dev/programming-guides/encoding/
func fields(message []byte, number uint64) (found [][]byte) {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			return
		}
		message = message[n:]
		value, n := binary.Uvarint(message)
		size := uint64(0)
		switch tag & 7 {
		case 0:
			size = uint64(n)
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			message, size = message[n:], value
		}
		if n <= 0 || size == 0 && tag&7 != 2 || size > uint64(len(message)) {
			return
		}
		if tag&7 == 2 && tag>>3 == number {
			found = append(found, message[:size])
		}
		message = message[size:]
	}
	return
}

// entry returns the value of a key in a map<string, Message>, which is a field of the message.
func entry(message []byte, number uint64, key string) []byte {
	for _, pair := range fields(message, number) {
		keys, values := fields(pair, 1), fields(pair, 2)
		if len(keys) > 0 && string(keys[0]) == key && len(values) > 0 {
			return values[0]
		}
	}
	return nil
}

type captioner struct {
	session *C.TF_Session
	input   C.TF_Output
	outputs [2]C.TF_Output // caption, error
}

func failure(status *C.TF_Status) error {
	if C.TF_GetCode(status) == C.TF_OK {
		return nil
	}
	return errors.New(C.GoString(C.TF_Message(status)))
}

func load(path string) (*captioner, error) {
	status, options, graph := C.TF_NewStatus(), C.TF_NewSessionOptions(), C.TF_NewGraph()
	metaGraph := C.TF_NewBuffer()
	directory, tag := C.CString(path), C.CString("serve")
	defer func() {
		C.TF_DeleteStatus(status)
		C.TF_DeleteSessionOptions(options)
		C.TF_DeleteGraph(graph) // the session keeps what it needs of it
		C.TF_DeleteBuffer(metaGraph)
		C.free(unsafe.Pointer(directory))
		C.free(unsafe.Pointer(tag))
	}()
	session := C.TF_LoadSessionFromSavedModel(
		options, nil, directory, &tag, 1, graph, metaGraph, status)
	if err := failure(status); err != nil {
		return nil, err
	}
	// MetaGraphDef.signature_def is field 5, a map of SignatureDef: inputs 1, outputs 2.
	model := C.GoBytes(metaGraph.data, C.int(metaGraph.length))
	found := entry(model, 5, signature)
	if found == nil {
		return nil, errors.New("no signature " + signature)
	}
	loaded := &captioner{session: session}
	for _, tensor := range []struct {
		field  uint64
		key    string
		output *C.TF_Output
	}{
		{1, "image_bytes", &loaded.input},
		{2, "caption", &loaded.outputs[0]},
		{2, "error", &loaded.outputs[1]},
	} {
		names := fields(entry(found, tensor.field, tensor.key), 1)
		if len(names) == 0 {
			return nil, fmt.Errorf("the signature %s has no %s", signature, tensor.key)
		}
		operation, index, _ := strings.Cut(string(names[0]), ":")
		number, _ := strconv.Atoi(index)
		name := C.CString(operation)
		*tensor.output = C.TF_Output{oper: C.TF_GraphOperationByName(graph, name), index: C.int(number)}
		C.free(unsafe.Pointer(name))
		if tensor.output.oper == nil {
			return nil, errors.New("the graph lacks the operation " + operation)
		}
	}
	return loaded, nil
}

func text(tensor *C.TF_Tensor) string {
	value := (*C.TF_TString)(C.TF_TensorData(tensor))
	return C.GoStringN(C.TF_StringGetDataPointer(value), C.int(C.TF_StringGetSize(value)))
}

// caption returns the caption of a picture, or what its row says is wrong; err is of the model.
func (c *captioner) caption(picture []byte) (caption string, wrong string, err error) {
	status := C.TF_NewStatus()
	defer C.TF_DeleteStatus(status)
	bytes := C.CBytes(picture)
	batch := C.new_batch(bytes, C.size_t(len(picture)))
	C.free(bytes)
	defer C.TF_DeleteTensor(batch)
	var found [2]*C.TF_Tensor
	C.TF_SessionRun(c.session, nil, &c.input, &batch, 1, &c.outputs[0], &found[0], 2, nil, 0, nil, status)
	if err = failure(status); err != nil {
		return
	}
	caption, wrong = text(found[0]), text(found[1])
	C.TF_DeleteTensor(found[0])
	C.TF_DeleteTensor(found[1])
	return
}

func complain(code int, parts ...string) int {
	fmt.Fprintln(os.Stderr, "caption: "+strings.Join(parts, ": "))
	return code
}

func run(export string, pictures []string) (code int) {
	loaded, err := load(export)
	if err != nil {
		return complain(2, export, err.Error())
	}
	for _, path := range pictures {
		picture, err := os.ReadFile(path)
		if err != nil {
			code = complain(1, path+" cannot be read")
			continue
		}
		caption, wrong, err := loaded.caption(picture)
		if err != nil {
			return complain(2, path, err.Error())
		}
		if wrong != "" {
			code = complain(1, path, wrong)
			continue
		}
		fmt.Printf("%s\t%s\n", path, caption)
	}
	return
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: caption EXPORT PICTURE...")
		os.Exit(2)
	}
	os.Exit(run(os.Args[1], os.Args[2:]))
}
