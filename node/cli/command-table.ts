// The table of commands: what each is for, where it stands on the help screen, and the file that defines it. Imports
// nothing that runs: a command's own file is loaded when the command is named.
import type { Command } from 'commander';
import type { CommandContext } from './context.ts';

/** A command's file exports `define`: it adds arguments, options and the action. */
export interface CommandFile {
  define(command: Command, context: CommandContext): void;
}

export interface CommandEntry {
  /** For the help screen: a few words. */
  readonly summary: string;
  /** For the command's own help: a sentence or two. */
  readonly description: string;
  readonly load: () => Promise<CommandFile>;
}

/** A heading of the help screen, with the names of its commands. */
export interface CommandGroup {
  readonly title: string;
  readonly commands: readonly string[];
}

/** Every command by its name. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  run: {
    summary: 'ask it, pipe to it, or chat',
    description: 'Ask a model: one prompt, a pipe, or a chat at the terminal.',
    load: () => import('./commands/run.ts'),
  },
  embed: {
    summary: 'turn texts into vectors',
    description: 'Turn texts into vectors.',
    load: () => import('./commands/embed.ts'),
  },
  infer: {
    summary: 'run a graph on your tensors',
    description: 'Run any model on tensors: .npy files, JSON files, or JSON as an argument.',
    load: () => import('./commands/infer.ts'),
  },
  plan: {
    summary: 'say where it would run, why',
    description: 'Say where a request would run now and why, or where an earlier one would have run; nothing is run.',
    load: () => import('./commands/plan.ts'),
  },
  cut: {
    summary: 'write its parts as files',
    description: 'Write the parts of a graph as ONNX files, or list where it can be cut.',
    load: () => import('./commands/cut.ts'),
  },
  list: {
    summary: 'list them, and who has them',
    description: 'List the models of the mesh and the nodes that offer them.',
    load: () => import('./commands/list.ts'),
  },
  show: {
    summary: 'show all about one',
    description: 'Show what a model is: facts, files, inputs and outputs, where it runs, and how fast.',
    load: () => import('./commands/show.ts'),
  },
  ps: {
    summary: 'list those in memory',
    description: 'List the models that are loaded: device, memory, slots, tokens a second, and until when.',
    load: () => import('./commands/ps.ts'),
  },
  pull: {
    summary: 'bring one to this disk',
    description: 'Bring a model to this node: from peers that have it and from the hub at once, verified.',
    load: () => import('./commands/pull.ts'),
  },
  import: {
    summary: 'make one of an .onnx file',
    description: 'Make a model of an .onnx file or a folder on this machine, checked in a caged process.',
    load: () => import('./commands/import.ts'),
  },
  load: {
    summary: 'bring one into memory',
    description: 'Load a model on this node before anybody asks for it, and keep it there if asked to.',
    load: () => import('./commands/load.ts'),
  },
  stop: {
    summary: 'end it, or unload a model',
    description: 'Unload a model from this node; without a model, stop the node itself and wait until it is gone.',
    load: () => import('./commands/stop.ts'),
  },
  restart: {
    summary: 'end it and begin anew',
    description: 'Have the node end and begin anew with the same command line, and wait until it answers.',
    load: () => import('./commands/restart.ts'),
  },
  rm: {
    summary: "delete a model's files",
    description: "Delete an installed model's files from this node.",
    load: () => import('./commands/rm.ts'),
  },
  verify: {
    summary: 'check and mend its models',
    description: 'Hash the models on this disk against their manifests, and bring what is damaged anew.',
    load: () => import('./commands/verify.ts'),
  },
  gc: {
    summary: 'delete what no model needs',
    description: 'Delete files of no model, and what pulls that nobody goes on with have left.',
    load: () => import('./commands/gc.ts'),
  },
  peers: {
    summary: 'list the other nodes',
    description: 'List the other nodes: hardware, models, load, RTT, goodput.',
    load: () => import('./commands/peers.ts'),
  },
  members: {
    summary: 'list who belongs to it',
    description: 'List the members of the mesh, reachable or not.',
    load: () => import('./commands/members.ts'),
  },
  invite: {
    summary: 'print a ticket to join it',
    description: 'Print a ticket with which one more machine can join.',
    load: () => import('./commands/invite.ts'),
  },
  join: {
    summary: 'join with a ticket',
    description: 'Join a mesh with a ticket from `weft invite`.',
    load: () => import('./commands/join.ts'),
  },
  revoke: {
    summary: 'take a member out',
    description: 'Take a member out of the mesh, for good: its device can only come back with a new identity.',
    load: () => import('./commands/revoke.ts'),
  },
  serve: {
    summary: 'start it and keep it up',
    description: 'Start this node and keep it serving.',
    load: () => import('./commands/serve.ts'),
  },
  status: {
    summary: 'say who and where it is',
    description: 'Show who this node is, where it answers, and what it offers.',
    load: () => import('./commands/status.ts'),
  },
  dashboard: {
    summary: 'open its pages',
    description: 'Print a link that signs a browser in to the pages of this node, and open it where there is a screen.',
    load: () => import('./commands/dashboard.ts'),
  },
  top: {
    summary: 'watch the mesh at work',
    description: 'Watch nodes and requests live. q or Ctrl-C leaves.',
    load: () => import('./commands/top.ts'),
  },
  trace: {
    summary: 'show the way of a request',
    description: 'Show which way a request took: its parts, predicted and measured, and the plans behind them.',
    load: () => import('./commands/trace.ts'),
  },
  logs: {
    summary: 'print its log',
    description: "Print the last lines of this node's log, and those that follow.",
    load: () => import('./commands/logs.ts'),
  },
  doctor: {
    summary: 'find what is wrong',
    description: 'Check layer by layer what could be wrong here, and say what to do about it.',
    load: () => import('./commands/doctor.ts'),
  },
  config: {
    summary: 'show or change settings',
    description: 'Show every setting, its value and where that came from, or change settings.json.',
    load: () => import('./commands/config.ts'),
  },
  key: {
    summary: 'show or renew the API key',
    description: 'Show the API key of this node, or make a new one.',
    load: () => import('./commands/key.ts'),
  },
  service: {
    summary: 'run it at every start',
    description: 'Run this node as a service of the operating system.',
    load: () => import('./commands/service.ts'),
  },
  demo: {
    summary: 'see a mesh of five at work',
    description: 'Start five nodes on this machine, send real requests, and show what ran where and why.',
    load: () => import('./commands/demo.ts'),
  },
  bench: {
    summary: 'measure how fast it is',
    description: 'Measure the running node: time to first token, tokens and embeddings a second.',
    load: () => import('./commands/bench.ts'),
  },
  completion: {
    summary: 'TAB completion for a shell',
    description: 'Print a script that completes commands, options and model names in bash, zsh or fish.',
    load: () => import('./commands/completion.ts'),
  },
};

/** The help screen's two columns, each a stack of groups. */
export const HELP_COLUMNS: readonly (readonly CommandGroup[])[] = [
  [
    {
      title: 'Models',
      commands: ['run', 'embed', 'infer', 'plan', 'cut', 'pull', 'import', 'list', 'show', 'ps', 'load', 'rm'],
    },
    { title: 'Mesh', commands: ['peers', 'members', 'invite', 'join', 'revoke'] },
  ],
  [
    {
      title: 'This node',
      commands: [
        'serve',
        'stop',
        'restart',
        'status',
        'dashboard',
        'top',
        'trace',
        'logs',
        'doctor',
        'config',
        'key',
        'verify',
        'gc',
        'service',
      ],
    },
    { title: 'Extras', commands: ['demo', 'bench', 'completion'] },
  ],
];
