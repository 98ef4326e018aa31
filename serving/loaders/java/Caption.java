import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.tensorflow.Result;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.SessionFunction;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.ndarray.NdArrays;
import org.tensorflow.types.TString;

/**
 * Captions pictures with an exported SavedModel, through TensorFlow for Java.
 *
 * <pre>Caption EXPORT PICTURE...</pre>
 *
 * EXPORT is a version's directory of a portable export ({@code tfcap export --portable}); the
 * standard one needs the ops of tensorflow-text, which a bare runtime does not have. Prints one
 * line a picture: its path, a tab, its caption. Exit code 0; 1 where a picture has no caption; 2
 * where the model cannot be used. README.md beside this file says how to build it.
 */
public final class Caption {
  private static final String SIGNATURE = "serving_default";

  public static void main(String[] arguments) {
    if (arguments.length < 2) {
      System.err.println("usage: Caption EXPORT PICTURE...");
      System.exit(2);
    }
    int code = 0;
    try (SavedModelBundle model = SavedModelBundle.load(arguments[0], SavedModelBundle.DEFAULT_TAG)) {
      SessionFunction captioner = model.function(SIGNATURE);
      for (int i = 1; i < arguments.length; i++) {
        if (!caption(captioner, Path.of(arguments[i]))) {
          code = 1;
        }
      }
    } catch (TensorFlowException | IllegalArgumentException error) {
      System.err.println("caption: " + arguments[0] + ": " + error.getMessage());
      code = 2;
    }
    System.exit(code);
  }

  /** Prints the caption of one picture; returns whether it has one. */
  private static boolean caption(SessionFunction captioner, Path path) {
    byte[] picture;
    try {
      picture = Files.readAllBytes(path);
    } catch (IOException error) {
      System.err.println("caption: " + path + " cannot be read");
      return false;
    }
    // Bytes, not text: a String would be encoded as UTF-8.
    try (TString batch = TString.tensorOfBytes(NdArrays.vectorOfObjects(picture));
        Result found = captioner.call(Map.of("image_bytes", batch))) {
      String error = row(found, "error");
      if (!error.isEmpty()) {
        System.err.println("caption: " + path + ": " + error);
        return false;
      }
      System.out.println(path + "\t" + row(found, "caption"));
      return true;
    }
  }

  /** Returns the only row of an output. */
  private static String row(Result found, String output) {
    return found
        .get(output)
        .map(tensor -> ((TString) tensor).getObject(0))
        .orElseThrow(() -> new IllegalArgumentException("the signature has no " + output));
  }
}
