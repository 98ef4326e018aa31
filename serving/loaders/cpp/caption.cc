// Captions pictures with an exported SavedModel, through TensorFlow's C++ API.
//
//   caption EXPORT PICTURE...
//
// EXPORT is a version's directory of a portable export (`tfcap export --portable`); the standard
// one needs the ops of tensorflow-text, which a bare runtime does not have. Prints one line a
// picture: its path, a tab, its caption. Exit code 0; 1 where a picture has no caption; 2 where
// the model cannot be used. README.md beside this file says how to build it.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include <tensorflow/cc/saved_model/loader.h>
#include <tensorflow/core/framework/tensor.h>
#include <tensorflow/core/public/session.h>

namespace {

constexpr char kSignature[] = "serving_default";

// Names of the graph's tensors behind the signature.
struct Captioner {
  tensorflow::SavedModelBundleLite model;
  std::string image_bytes, caption, error;
};

// Returns what is wrong, or nothing.
std::string Load(const std::string& path, Captioner* captioner) {
  const absl::Status status =
      tensorflow::LoadSavedModel({}, {}, path, {"serve"}, &captioner->model);
  if (!status.ok()) return std::string(status.message());
  const auto& signatures = captioner->model.GetSignatures();
  const auto found = signatures.find(kSignature);
  if (found == signatures.end()) return std::string("no signature ") + kSignature;
  const auto& inputs = found->second.inputs();
  const auto& outputs = found->second.outputs();
  if (!inputs.contains("image_bytes") || !outputs.contains("caption") ||
      !outputs.contains("error"))
    return "the signature is not that of a captioner";
  captioner->image_bytes = inputs.at("image_bytes").name();
  captioner->caption = outputs.at("caption").name();
  captioner->error = outputs.at("error").name();
  return "";
}

// Prints the caption of one picture; returns whether it has one.
bool Caption(const Captioner& captioner, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file) {
    std::cerr << "caption: " << path << " cannot be read\n";
    return false;
  }
  tensorflow::Tensor batch(tensorflow::DT_STRING, {1});
  batch.flat<tensorflow::tstring>()(0) = bytes;
  std::vector<tensorflow::Tensor> found;
  const absl::Status status = captioner.model.GetSession()->Run(
      {{captioner.image_bytes, batch}}, {captioner.caption, captioner.error}, {}, &found);
  if (!status.ok()) {
    std::cerr << "caption: " << path << ": " << status.message() << "\n";
    std::exit(2);
  }
  const tensorflow::tstring& error = found[1].flat<tensorflow::tstring>()(0);
  if (!error.empty()) {
    std::cerr << "caption: " << path << ": " << error << "\n";
    return false;
  }
  std::cout << path << "\t" << found[0].flat<tensorflow::tstring>()(0) << "\n";
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: caption EXPORT PICTURE...\n";
    return 2;
  }
  Captioner captioner;
  const std::string wrong = Load(argv[1], &captioner);
  if (!wrong.empty()) {
    std::cerr << "caption: " << argv[1] << ": " << wrong << "\n";
    return 2;
  }
  bool all_good = true;
  for (int i = 2; i < argc; i++) all_good &= Caption(captioner, argv[i]);
  return all_good ? 0 : 1;
}
