// What a model is asked, to answer the last message of a branch.
import type { ConversationSettings, Message } from '../../core/conversations.ts';
import type { ChatMessage, ChatRequest } from '../../core/coordinator.ts';

/** Defaults are those of `/v1/chat/completions`. */
export function chatRequest(
  model: string,
  { temperature = 1, topP = 1, maxTokens, seed }: ConversationSettings,
  messages: readonly ChatMessage[],
): ChatRequest {
  return {
    model,
    messages,
    temperature,
    topP,
    stop: [],
    ...(maxTokens === undefined ? {} : { maxTokens }),
    // Negative seeds are as good as any.
    ...(seed === undefined ? {} : { seed: BigInt.asUintN(64, BigInt(seed)) }),
  };
}

/**
 * What a model is given to answer the last message of a branch. Answers without a text (failed, or stopped too early) are
 * left out, and what then stands side by side is joined: many templates want user and assistant by turns.
 */
export function promptOf(system: string, branch: readonly Pick<Message, 'role' | 'content'>[]): readonly ChatMessage[] {
  const prompt: { role: string; content: string }[] = system === '' ? [] : [{ role: 'system', content: system }];
  for (const { role, content } of branch) {
    if (content === '') continue;
    const last = prompt.at(-1);
    if (last?.role === role) last.content += `\n\n${content}`;
    else prompt.push({ role, content });
  }
  return prompt;
}
