// The text of an answer in the page: of one that is being written, as it comes; of any other, as it is.
import { useEffect, useRef, useState } from 'react';
import type { ConversationMessage } from '../../../../protocol/api/control/conversations.ts';
import { api } from '../../data/client.ts';
import { hub } from '../../data/events.ts';
import { AnswerStream, type FollowState } from './answer-stream.ts';
import { streamPath, useChatActions } from './chat-data.ts';
import { PAINT_MS } from './limits.ts';

export interface FollowedAnswer {
  readonly text: string;
  /** Undefined of an answer that is not being written. */
  readonly follow: FollowState | undefined;
}

/** By a timer, as hidden pages get no frames. */
const frame = (callback: () => void): void => void setTimeout(callback, PAINT_MS);

export function useAnswer(conversation: string, message: ConversationMessage): FollowedAnswer {
  const { id, state, content } = message;
  const { keep } = useChatActions();
  const [shown, setShown] = useState<FollowedAnswer & { readonly id: string }>();
  const latest = useRef(message);
  latest.current = message;
  const growing = state === 'streaming';
  useEffect(() => {
    if (!growing) return;
    const stream = new AnswerStream(
      {
        open: ({ from, signal, onEvent }) => api.stream(streamPath(conversation, id, from), { signal, onEvent }),
        after: (ms, callback) => {
          const timer = setTimeout(callback, ms);
          return () => clearTimeout(timer);
        },
        frame,
      },
      {
        text: latest.current.content,
        onChange: () => setShown({ id, text: stream.text, follow: stream.state }),
        onDone: (done) => keep(conversation, done),
      },
    );
    stream.start();
    const offState = hub.onState(() => hub.state === 'live' && stream.retryNow());
    return () => {
      offState();
      stream.stop();
      // Whoever comes back to this conversation goes on from here.
      if (stream.state !== 'ended' && stream.text.length > latest.current.content.length) {
        keep(conversation, { ...latest.current, content: stream.text });
      }
    };
  }, [growing, conversation, id, keep]);
  if (!growing) return { text: content, follow: undefined };
  const mine = shown?.id === id ? shown : undefined;
  return {
    text: mine !== undefined && mine.text.length >= content.length ? mine.text : content,
    follow: mine?.follow ?? 'following',
  };
}
