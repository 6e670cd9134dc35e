// Conversations as files: JSON that can be read in again, and Markdown to be read by people.
import type { ConversationFile } from '../../protocol/api/control.ts';
import type { Conversation, Message } from '../core/conversations.ts';

/** Characters of the title in a file's name. */
const NAME_LENGTH_MAX = 60;

/** Everything, all branches. */
export function toFile({ id: _id, ...conversation }: Conversation): ConversationFile {
  return {
    format: 'weft-conversation',
    version: 1,
    conversation: {
      ...conversation,
      settings: { ...conversation.settings },
      messages: conversation.messages.map(({ nodes, ...message }) => ({
        ...message,
        ...(nodes === undefined ? {} : { nodes: [...nodes] }),
      })),
    },
  };
}

/** The branch that is shown, from its first message on. */
export function toMarkdown(conversation: Conversation): string {
  const { title, system, createdAtMs } = conversation;
  const heading = title === '' ? [] : [`# ${title}`];
  const about = [`Begun ${moment(createdAtMs)}.`];
  const prompt = system === '' ? [] : ['## System', system];
  const said = branchOf(conversation).flatMap((message) => [`## ${nameOf(message)}`, ...textOf(message)]);
  return `${[...heading, ...about, ...prompt, ...said].join('\n\n')}\n`;
}

/** ASCII only, and nothing that a shell or a file system takes for more than a name. */
export function fileNameOf({ title, id }: Conversation, extension: string): string {
  const words = title
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, NAME_LENGTH_MAX);
  return `${words === '' ? id.replace(/[^A-Za-z0-9_]/g, '') : words}.${extension}`;
}

/** From the first message to the leaf. */
function branchOf({ messages, leaf }: Conversation): readonly Message[] {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const branch: Message[] = [];
  for (let at = leaf; at !== null && branch.length < messages.length; ) {
    const message = byId.get(at);
    if (message === undefined) break;
    branch.unshift(message);
    at = message.parent;
  }
  return branch;
}

function nameOf({ role, model }: Message): string {
  if (role === 'user') return 'User';
  return model === undefined ? 'Assistant' : `Assistant (${model})`;
}

function textOf({ content, state, error }: Message): readonly string[] {
  const note = {
    done: [],
    streaming: ['*Still being written.*'],
    stopped: ['*Stopped here.*'],
    failed: [`*Failed: ${error?.message ?? 'for an unknown reason.'}*`],
  }[state];
  return [...(content === '' ? [] : [content]), ...note];
}

const moment = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
