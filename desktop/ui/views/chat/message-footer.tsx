// Below a message: who answered and how fast, what can be done with it, and the way to its other branches.
import { ChevronLeft, ChevronRight } from 'lucide-react';
import type { ReactNode } from 'react';
import type { ConversationMessage } from '../../../../protocol/api/control/conversations.ts';
import { IconButton } from '../../components/button.tsx';
import { NodeName } from '../../components/node-name.tsx';
import { text } from '../../text/en.ts';
import { count, duration, safeName, shortModel } from '../../text/format.ts';
import type { Shown } from './message-tree.ts';

export function Branches({
  shown,
  onShow,
  disabled = false,
}: {
  readonly shown: Shown;
  readonly onShow: (message: ConversationMessage) => void;
  readonly disabled?: boolean;
}): ReactNode {
  const { message, siblings } = shown;
  if (siblings.length < 2) return null;
  const at = siblings.findIndex(({ id }) => id === message.id);
  const step = (by: number, label: string, icon: ReactNode): ReactNode => {
    const to = siblings[at + by];
    return (
      <IconButton
        size="small"
        label={label}
        icon={icon}
        disabled={to === undefined || disabled}
        onClick={() => to !== undefined && onShow(to)}
      />
    );
  };
  return (
    <span className="flex items-center text-muted text-xs">
      {step(-1, text.chat.before, <ChevronLeft />)}
      <span className="tabular min-w-7 text-center">{text.chat.branch(at + 1, siblings.length)}</span>
      {step(1, text.chat.after, <ChevronRight />)}
    </span>
  );
}

/** One line of facts; what isn't known is left out. */
export function AnswerFacts({
  message,
  self,
}: {
  readonly message: ConversationMessage;
  /** Node id of the node behind this page. */
  readonly self: string | undefined;
}): ReactNode {
  const { nodes = [], model, tokensPerSecond, ttftMs, usage } = message;
  return (
    <span className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-0.5 text-muted text-xs">
      {nodes.map(({ node, name }) => (
        <NodeName key={node} node={node} name={name} self={node === self} />
      ))}
      {model !== undefined && <bdi className="truncate">{safeName(shortModel(model))}</bdi>}
      {tokensPerSecond !== undefined && (
        <span className="tabular whitespace-nowrap">
          {tokensPerSecond < 10 ? tokensPerSecond.toFixed(1) : Math.round(tokensPerSecond)} {text.chat.perSecond}
        </span>
      )}
      {ttftMs !== undefined && (
        <span className="tabular whitespace-nowrap">
          {text.chat.ttft} {duration(ttftMs)}
        </span>
      )}
      {usage !== undefined && (
        <span className="tabular whitespace-nowrap">{text.chat.tokens(count(usage.completionTokens))}</span>
      )}
    </span>
  );
}
