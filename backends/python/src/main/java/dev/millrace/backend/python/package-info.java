/**
 * Python scripts, run in processes of their own.
 *
 * <p>A {@link dev.millrace.backend.python.WorkerPool} keeps as many processes alive as are asked
 * for. Each runs the package {@code millrace_worker} from this module's resources, which connects
 * back over a Unix domain socket: once to say how it is (the lifeline), then once for every call
 * that it answers at the same time. Nothing goes over stdin, stdout and stderr but what the script
 * prints.
 *
 * <p><b>Frames.</b> Little-endian: a 32-bit length of what follows, one byte of kind, the body. A
 * text is a 32-bit length and so many bytes of UTF-8. One read may bring a part of a frame, or
 * several: CANCEL may come right behind the STREAM that it ends.
 *
 * <table>
 * <caption>Kinds</caption>
 * <tr><th>kind</th><th>from</th><th>body</th></tr>
 * <tr><td>1 CONFIGURE</td><td>server</td><td>16-bit count, then key and value as texts; on the
 *     lifeline, first</td></tr>
 * <tr><td>2 CALL</td><td>server</td><td>8-bit verb, 8-bit flags (1: contents are in shared memory;
 *     2: those of the result must not be), heads, 16-bit count of parameters, each a name, an 8-bit
 *     kind (text, bool, int64, float64) and the value; then the contents, one after the other
 *     </td></tr>
 * <tr><td>3 PING</td><td>server</td><td>none</td></tr>
 * <tr><td>4 MEMORY</td><td>server</td><td>64-bit size: make a region for inputs</td></tr>
 * <tr><td>5 GENERATE</td><td>server</td><td>8-bit operation (chat, completion, embeddings), 16-bit
 *     count of headers, each a name and a value as texts; then the request's JSON</td></tr>
 * <tr><td>6 CANCEL</td><td>server</td><td>none: the generation or stream that is under way shall end; nothing
 *     if there is none</td></tr>
 * <tr><td>7 STREAM</td><td>server</td><td>as CALL, with contents that follow; any number of RESULT
 *     answer it, whose contents follow too, and then END or ERROR</td></tr>
 * <tr><td>65 READY</td><td>worker</td><td>as CONFIGURE; on the lifeline</td></tr>
 * <tr><td>66 FAILED</td><td>worker</td><td>text: why the script cannot be used; on the lifeline
 *     </td></tr>
 * <tr><td>67 RESULT</td><td>worker</td><td>8-bit flags (1: contents are in shared memory; 2: the
 *     region for outputs is another one, whose 32-bit descriptor and 64-bit size follow; 4: the
 *     region for inputs is not to be used again), heads, contents</td></tr>
 * <tr><td>68 ERROR</td><td>worker</td><td>8-bit flags (4 as above), 16-bit HTTP status, two texts: for
 *     the client, and the traceback</td></tr>
 * <tr><td>69 PONG</td><td>worker</td><td>none</td></tr>
 * <tr><td>70 REGION</td><td>worker</td><td>32-bit descriptor, 64-bit size; answers MEMORY</td></tr>
 * <tr><td>71 PART</td><td>worker</td><td>8-bit flag (1: the whole answer), then JSON; any number of
 *     them answer GENERATE</td></tr>
 * <tr><td>72 END</td><td>worker</td><td>none: after the last part or response, unless that is ERROR</td></tr>
 * </table>
 *
 * <p>Heads are a 16-bit count and for each tensor its name, 8-bit datatype (counted from 0 in the
 * order of {@link dev.millrace.api.DataType}), 8-bit rank, 64-bit sizes and 64-bit length of the
 * contents.
 *
 * <p><b>Generations and streams.</b> A server that does not read its parts stops the script that
 * makes them, as the socket fills up. One that has sent CANCEL reads on to END or ERROR, so that
 * the connection can be used again.
 *
 * <p><b>Shared memory.</b> Contents of more than 64 KiB go through two anonymous files (Linux:
 * {@code memfd_create}) that the worker makes, seals against shrinking, and the server maps by way
 * of {@code /proc/<pid>/fd}: one for inputs, one for outputs. They have no name, so nothing of them
 * is left when the processes are gone, however they went. Contents start at multiples of 64 bytes.
 */
@NullMarked
package dev.millrace.backend.python;

import org.jspecify.annotations.NullMarked;
