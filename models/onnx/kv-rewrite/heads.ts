// What the operators that are attention as one have in common: hidden states with their heads side by side, a scale.
import { floatAttribute } from '../attributes.ts';
import type { NodeProto } from '../messages/onnx_pb.js';
import { int64Tensor } from '../tensors.ts';
import type { MatchContext } from './site.ts';

/** [B, S, heads · D] → [B, heads, S, D] */
export function byHead({ editor, spec }: MatchContext, tensor: string, heads: number): string {
  const shape = editor.addInitializer(int64Tensor(editor.freshName('shape'), [4], [0, 0, heads, spec.headSize]));
  return editor.apply('Transpose', [editor.apply('Reshape', [tensor, shape])], { perm: [0n, 2n, 1n, 3n] });
}

/** By what an attention operator multiplies its scores; 0 stands for the default. */
export function scaleOf(node: NodeProto, headSize: number): number {
  const scale = floatAttribute(node, 'scale', 0);
  return scale === 0 ? 1 / Math.sqrt(headSize) : scale;
}

/** Parts of these lengths along an axis. */
export function splitInto<Lengths extends readonly number[]>(
  { editor }: MatchContext,
  tensor: string,
  axis: number,
  lengths: readonly [...Lengths],
): { readonly [Index in keyof Lengths]: string } {
  const sizes = editor.addInitializer(int64Tensor(editor.freshName('split'), [lengths.length], lengths));
  const outputs = lengths.map(() => editor.freshName('part'));
  editor.addNode({ op: 'Split', inputs: [tensor, sizes], outputs, attributes: { axis: BigInt(axis) } });
  return outputs as { readonly [Index in keyof Lengths]: string };
}
