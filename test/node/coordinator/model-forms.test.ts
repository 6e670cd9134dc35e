import { describe, expect, it } from 'vitest';
import { formNames, precisionNamed } from '../../../node/coordinator/model-forms.ts';
import { findModel, formsOf } from '../../../node/coordinator/model-names.ts';
import type { AvailableModel } from '../../../node/core/dispatcher.ts';
import type { ModelState } from '../../../protocol/capability.ts';
import { offer } from '../scheduler/builders.ts';

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;

const form = (
  precision: string | undefined,
  digit: string,
  init: { id?: string; nodes?: string[]; states?: ModelState[]; aliases?: string[] } = {},
): AvailableModel => {
  const { id = 'owner/chat', nodes = ['a'], aliases = ['chatty'] } = init;
  const states = init.states ?? nodes.map(() => 'disk' as const);
  const said = precision === undefined ? {} : { precision };
  return { offer: offer({ model: { id, digest: digest(digit) }, aliases, ...said }), nodes, states };
};

const MODELS = [
  form('q4', '1'),
  form('int8', '2', { nodes: ['a', 'b'] }),
  form('fp32', '3', { id: 'owner/plain', aliases: [] }),
];

const found = (name: string, models: readonly AvailableModel[] = MODELS) =>
  findModel(models, name, 'text-generation', 'self').offer.model.digest.slice(7, 8);

describe('a name with a form', () => {
  it('is the precision behind an id, a short name or the last part of an id, in any case', () => {
    for (const name of ['owner/chat', 'OWNER/chat', 'chatty', 'chat']) {
      expect([found(`${name}:q4`), found(`${name}:INT8`)]).toEqual(['1', '2']);
    }
    expect(found('plain:fp32')).toBe('3');
  });

  it('is what a pull takes: the graph, its name, what the hub calls it, a page of the hub', () => {
    const names = ['onnx/model_q4.onnx', 'model_q4.onnx', 'onnx/model_quantized.onnx', 'quantized', 'q8'];
    expect(names.map((name) => found(`owner/chat:${name}`))).toEqual(['1', '1', '2', '2', '2']);
    expect(found('owner/plain:model.onnx')).toBe('3');
    expect(found('hf.co/owner/chat:q4')).toBe('1');
  });

  it('tells two of one precision apart by what their folders are called', () => {
    const twins = [form('q4', 'a'), form('q4', 'b', { nodes: ['a', 'b'] })];
    expect(formNames(twins)).toEqual(['q4-aaaaaaaaa', 'q4-bbbbbbbbb']);
    expect([found('chat:q4-aaaaaaaaa', twins), found('chat:q4-bbbbbbbbb', twins)]).toEqual(['a', 'b']);
    // The best known of them.
    expect(found('chat:q4', twins)).toBe('b');
  });

  it('that no node offers is refused with those that there are', () => {
    expect(() => found('owner/chat:fp16')).toThrow(
      'No node of this mesh offers "fp16" of owner/chat. It has int8, q4.',
    );
    expect(() => found('chat:')).toThrow(expect.objectContaining({ code: 'model_not_found', status: 404 }));
    expect(() => found(`chat:${'x'.repeat(5000)}`)).toThrow(/"x{96}…"/);
    expect(() => found('other:q4')).toThrow('There is no model "other:q4" in this mesh.');
    // Nobody knows what an older node has.
    expect(() => found('chat:q4', [form(undefined, '1')])).toThrow('one that its nodes tell no name of');
  });

  it('of an id that two models end with names the models', () => {
    const twins = [form('q4', '1', { id: 'a/twin' }), form('q4', '2', { id: 'b/twin' })];
    expect(() => found('twin:q4', twins)).toThrow('"twin:q4" could be a/twin or b/twin.');
  });
});

it('a plain id means the form that is here, then one that is loaded, then the one on most nodes', () => {
  expect(found('owner/chat')).toBe('2');
  expect(found('owner/chat', [form('q4', '1', { states: ['loaded'] }), form('int8', '2', { nodes: ['a', 'b'] })])).toBe(
    '1',
  );
  expect(found('owner/chat', [form('q4', '1', { states: ['loaded'] }), form('int8', '2', { nodes: ['self'] })])).toBe(
    '2',
  );
});

it('forms of a model are listed where there are several that can run', () => {
  const names = (models: readonly AvailableModel[]) => formsOf(models, 'owner/chat', 'self').map((one) => one.form);
  expect(names(MODELS)).toEqual(['int8', 'q4']);
  expect(names([form('q4', '1')])).toEqual([]);
  expect(names([form('q4', '1'), form('int8', '2', { states: ['quarantined'] })])).toEqual([]);
  expect(names([form('q4', '1'), form(undefined, '2')])).toEqual(['q4']);
});

it('a precision is told by its own name or a graph of it, and by nothing else', () => {
  expect(['q4', 'uint8', 'quantized', 'model_fp16.onnx', 'model.onnx'].map(precisionNamed)).toEqual([
    'q4',
    'uint8',
    'int8',
    'fp16',
    'fp32',
  ]);
  expect(['', 'nonsense', '../q4', 'a b'].map(precisionNamed)).toEqual([undefined, undefined, undefined, undefined]);
});
