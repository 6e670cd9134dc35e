// One sample of the benchmark `import`, in a process of its own: opens a model once, and says how long it took and what
// it took. `node import-child.ts lazy|whole PATH`.
import { readFileSync } from 'node:fs';
import { fromBinary } from '@bufbuild/protobuf';
import { checkOnnxFile } from '../../models/onnx/check.ts';
import { ModelProtoSchema } from '../../models/onnx/messages/onnx_pb.js';
import { readModel } from '../../models/onnx/model-file.ts';

/** Most that was resident since this program began, in bytes: of the process, not of the one that it was forked from. */
function peakBytes(): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kilobytes === undefined ? process.memoryUsage.rss() : Number(kilobytes) * 1024;
}

const [how = '', path = ''] = process.argv.slice(2);
// What is resident now, not the most so far: errs towards more being added.
const before = process.memoryUsage.rss();
const start = performance.now();
let nodes: number | undefined;
if (how === 'lazy') {
  // What an import does before it hashes, and what a runner does before it gives the graph to the runtime.
  nodes = checkOnnxFile(path).nodes;
  readModel(path);
} else nodes = fromBinary(ModelProtoSchema, readFileSync(path)).graph?.node.length;
const ms = performance.now() - start;
console.log(JSON.stringify({ ms, addedMb: (peakBytes() - before) / 1e6, nodes }));
