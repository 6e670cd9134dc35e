import { describe, expect, it } from 'vitest';
import { type ChatCommand, HELP_SET, parseCommand } from '../../../node/cli/chat-commands.ts';
import { PARAMETERS } from '../../../node/cli/chat-settings.ts';

describe('parseCommand', () => {
  it.each<[string, ChatCommand]>([
    ['/bye', { kind: 'bye' }],
    ['/exit', { kind: 'bye' }],
    ['/clear', { kind: 'clear' }],
    ['/?', { kind: 'help' }],
    ['/help set', { kind: 'help-set' }],
    ['/set', { kind: 'help-set' }],
    ['/show', { kind: 'show', what: 'all' }],
    ['/show  parameters', { kind: 'show', what: 'settings' }],
    ['/set parameter temperature 0.7', { kind: 'parameter', key: 'temperature', value: 0.7 }],
    ['/set   parameter   num_predict   8', { kind: 'parameter', key: 'maxTokens', value: 8 }],
    ['/set top_k default', { kind: 'parameter', key: 'topK', value: undefined }],
    ['/set frequency_penalty -1', { kind: 'parameter', key: 'frequencyPenalty', value: -1 }],
    ['/set parameter stop "a b" c "\\n" "\\q"', { kind: 'stop', texts: ['a b', 'c', '\n', '\\q'] }],
    ['/set parameter stop default', { kind: 'stop', texts: [] }],
    ['/set system "Be brief."', { kind: 'system', text: 'Be brief.' }],
    ['/set system Be "very" brief.', { kind: 'system', text: 'Be "very" brief.' }],
    ['/set system """Be brief."""', { kind: 'system', text: 'Be brief.' }],
    ['/set system """Be', { kind: 'system-open', first: 'Be' }],
    ['/set system ""', { kind: 'system', text: undefined }],
    ['/set system', { kind: 'system', text: undefined }],
    ['/set format json', { kind: 'format', format: 'json' }],
    ['/set format @a b.json', { kind: 'format', format: '@a b.json' }],
    ['/set format text', { kind: 'format', format: undefined }],
    ['/set noformat', { kind: 'format', format: undefined }],
    ['/set history', { kind: 'history', on: true }],
    ['/set history off', { kind: 'history', on: false }],
    ['/set nohistory', { kind: 'history', on: false }],
    ['/set quiet', { kind: 'verbose', on: false }],
  ])('reads %s', (text, command) => expect(parseCommand(text)).toEqual(command));

  it.each([
    ['/sho', 'Did you mean /show?'],
    ['/xyz', '/help shows'],
    ['/show me', '/show settings'],
    ['/set tempreature 1', 'Did you mean temperature?'],
    ['/set parameter', '/help shows'],
    ['/set parameter top_q 1', 'Did you mean top_p?'],
    ['/set parameter top_k 1.5', 'whole number'],
    ['/set parameter top_k', 'whole number'],
    ['/set temperature hot', 'a number'],
    ['/set temperature Infinity', 'a number'],
    ['/set parameter num_ctx 4096', 'the node that answers decides'],
    ['/set format', '/set format json'],
    ['/set history maybe', 'on or /set history off'],
  ])('says what is wrong with %s', (text, message) => {
    expect(parseCommand(text)).toEqual({ kind: 'wrong', message: expect.stringContaining(message) });
  });

  it('has help for every parameter, on lines of 80 columns', () => {
    for (const { name } of PARAMETERS) expect(HELP_SET).toContain(name);
    for (const line of HELP_SET.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
