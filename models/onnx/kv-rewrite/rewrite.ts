// Turns a decoder in the hub's usual layout (past_key_values.N.key/value in, present.N.key/value out) into one that takes
// the past where its runner keeps it and gives the new keys and values only. Called by the runner when it loads a text
// generator; what comes out is compared with the graph as it was before anyone is answered by it.
import { WeftError } from '../../../protocol/errors.ts';
import type { GenerationSpec } from '../../manifest.ts';
import { GraphEditor } from '../graph.ts';
import { TensorProto_DataType as DataType, type ModelProto } from '../messages/onnx_pb.js';
import { valueInfo } from '../tensors.ts';
import { attentionConstants, writeAttention, writeNewRows } from './attention.ts';
import { matchGroupQuery } from './group-query.ts';
import { type DecoderLayout, newBias, PORTS, pastBias, pastKey, pastValue } from './layout.ts';
import { HEADS_MAX, OPSET_MIN } from './limits.ts';
import { chooseLogits } from './logits.ts';
import { matchMultiHead } from './multi-head.ts';
import { matchPlain } from './plain.ts';
import { checkPositions, replacePositions } from './positions.ts';
import { Looks } from './samples.ts';
import { type AttentionSite, type Matcher, Refusal } from './site.ts';

const MATCHERS: readonly Matcher[] = [matchGroupQuery, matchMultiHead, matchPlain];

/** The rewritten model and its layout, or why it was left alone. */
export type Rewritten = { readonly model: ModelProto; readonly layout: DecoderLayout } | { readonly reason: string };

/**
 * Rewrites a model in place.
 * @param spec of its manifest
 * @returns a reason where the graph is not of a form that is known; the model is of no use then
 */
export function rewriteDecoder(model: ModelProto, spec: GenerationSpec): Rewritten {
  try {
    return rewrite(model, spec);
  } catch (error) {
    if (error instanceof Refusal) return { reason: error.message };
    if (error instanceof WeftError) return { reason: `its graph is not sound: ${error.message}` };
    throw error;
  }
}

function rewrite(model: ModelProto, spec: GenerationSpec): Rewritten {
  const editor = new GraphEditor(model);
  const { layers } = spec;
  const type = cacheType(editor);
  checkSizes(editor, spec);
  const exported = Array.from({ length: layers }, (_, layer) => ({
    pastKey: `past_key_values.${layer}.key`,
    pastValue: `past_key_values.${layer}.value`,
    presentKey: `present.${layer}.key`,
    presentValue: `present.${layer}.value`,
  }));
  editor.addInput(valueInfo(PORTS.positions, DataType.INT64, ['batch', 'new']));
  // What nobody fetches may need scores, which will be there no longer.
  const asked = new Set([
    PORTS.logits,
    ...exported.flatMap(({ presentKey, presentValue }) => [presentKey, presentValue]),
  ]);
  for (const { name } of [...editor.graph.output]) if (!asked.has(name)) editor.removeOutput(name);
  const looks = new Looks(editor, spec);
  const sites = exported.map((ports, layer): AttentionSite => {
    for (const match of MATCHERS) {
      const site = match({ editor, spec, layer, type, looks, ports, positions: PORTS.positions });
      if (site !== undefined) return site;
    }
    throw new Refusal(`the attention of layer ${layer} is written in a way that is not known`);
  });
  const heads = checkSites(sites, spec);
  const windows = [...new Set(sites.map(({ window }) => window))].sort((a, b) => a - b);
  const { kvHeads, headSize, vocabularySize } = spec;
  const layout = { layers, kvHeads, headSize, group: heads / kvHeads, vocabularySize, type, windows };
  addPorts(editor, layout);
  const constants = attentionConstants(editor, layout);
  for (const [layer, site] of sites.entries()) {
    editor.replaceUses(site.output, writeAttention(editor, layout, constants, layer, site));
  }
  writeNewRows(editor, sites);
  if (editor.isInput('position_ids')) editor.replaceUses('position_ids', PORTS.positions);
  addLogits(editor, layout);
  for (const ports of exported) {
    editor.removeOutput(ports.presentKey);
    editor.removeOutput(ports.presentValue);
  }
  editor.forgetShapes();
  editor.finish();
  const old = ['attention_mask', ...exported.flatMap(({ pastKey: key, pastValue: value }) => [key, value])];
  // As the graph is now.
  const now = new Looks(editor, spec, looks.work);
  if (old.some((name) => editor.consumers(name).length > 0)) {
    replacePositions(editor, now, old);
    editor.finish();
  }
  checkPositions(editor, now);
  for (const name of ['position_ids', ...old]) removeOldInput(editor, name);
  return { model, layout };
}

/** @returns their heads */
function checkSites(sites: readonly AttentionSite[], { kvHeads }: GenerationSpec): number {
  const [heads = 0] = sites.map((site) => site.heads);
  if (!(heads >= 1 && heads <= HEADS_MAX && heads % kvHeads === 0) || sites.some((site) => site.heads !== heads)) {
    throw new Refusal('its layers differ in heads, or have too many');
  }
  for (const { scale, softcap, window } of sites) {
    const isSound = scale > 0 && softcap >= 0 && Number.isFinite(scale * softcap) && Number.isSafeInteger(window);
    if (!isSound) throw new Refusal('the scale, cap or window of its attention has no meaning');
  }
  return heads;
}

function cacheType(editor: GraphEditor): 'float32' | 'float16' {
  const port = editor.graph.input.find(({ name }) => name === 'past_key_values.0.key');
  const type = port?.type?.value.case === 'tensorType' ? port.type.value.value.elemType : 0;
  if (type === DataType.FLOAT) return 'float32';
  if (type === DataType.FLOAT16) return 'float16';
  throw new Refusal('its cache is neither float32 nor float16');
}

function checkSizes(editor: GraphEditor, { layers, kvHeads, headSize }: GenerationSpec): void {
  // Below, sizes of splits and axes were written in another way.
  if ((editor.opset() ?? 0) < OPSET_MIN) throw new Refusal(`its operators are older than version ${OPSET_MIN}`);
  const fits = 2 * layers <= editor.graph.input.length && kvHeads <= HEADS_MAX && headSize <= HEADS_MAX;
  if (!fits) throw new Refusal('its cache is not that of its manifest');
}

function addPorts(editor: GraphEditor, layout: DecoderLayout): void {
  const { layers, kvHeads, headSize, windows } = layout;
  const type = layout.type === 'float32' ? DataType.FLOAT : DataType.FLOAT16;
  editor.removeInput(PORTS.ids);
  editor.addInput(valueInfo(PORTS.ids, DataType.INT64, ['batch', 'new']));
  editor.addInput(valueInfo(PORTS.split, DataType.INT64, [2]));
  editor.addInput(valueInfo(PORTS.rows, DataType.INT64, ['rows']));
  for (const window of windows) {
    editor.addInput(valueInfo(pastBias(window), type, ['batch', 1, 'seen', 'past']));
    editor.addInput(valueInfo(newBias(window), type, [1, 1, 'folded', 'new']));
  }
  for (let layer = 0; layer < layers; layer++) {
    editor.addInput(valueInfo(pastKey(layer), type, ['batch', kvHeads, headSize, 'past']));
    editor.addInput(valueInfo(pastValue(layer), type, ['batch', kvHeads, 'past', headSize]));
  }
  for (const rows of [PORTS.newKeys, PORTS.newValues]) {
    editor.addOutput(valueInfo(rows, type, ['layers', kvHeads, 'new', headSize]));
  }
}

function addLogits(editor: GraphEditor, { vocabularySize }: DecoderLayout): void {
  if (!editor.isOutput(PORTS.logits)) throw new Refusal('it gives no logits');
  const before = chooseLogits(editor) === 1 ? [1] : [];
  editor.removeOutput(PORTS.logits);
  editor.addOutput(valueInfo(PORTS.logits, DataType.FLOAT, [...before, 'rows', vocabularySize]));
}

/** What the runner no longer feeds must not be needed. */
function removeOldInput(editor: GraphEditor, name: string): void {
  const [user] = editor.consumers(name);
  if (user !== undefined) throw new Refusal(`a ${user.opType} takes ${name} in a way that is not known`);
  editor.removeInput(name);
}
