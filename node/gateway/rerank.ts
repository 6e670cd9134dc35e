// POST /v1/rerank.
import { type RerankAnswer, RerankRequest } from '../../protocol/api/rerank.ts';
import type { Coordinator } from '../core/coordinator.ts';
import type { Endpoint } from './exchange.ts';
import { type NameOf, placementHeaders, planSummary } from './placement.ts';

export interface RerankComponents {
  readonly coordinator: Pick<Coordinator, 'rerank'>;
  readonly nameOf: NameOf;
}

/** The endpoint. */
export function rerank({ coordinator, nameOf }: RerankComponents): Endpoint {
  return {
    method: 'POST',
    url: '/v1/rerank',
    traced: true,
    async handle(exchange): Promise<RerankAnswer> {
      const {
        model,
        query,
        documents,
        top_n: topN,
        return_documents: wanted,
      } = await exchange.readParameters(RerankRequest);
      const answer = await coordinator.rerank(
        { model, query, documents, ...(topN !== undefined && { topN }) },
        exchange,
      );
      exchange.reply.headers(placementHeaders(answer.nodes.at(-1), nameOf));
      if (answer.truncated > 0) exchange.reply.header('x-weft-truncated', String(answer.truncated));
      return {
        model: answer.model,
        results: answer.results.map(({ index, score }) => ({
          index,
          relevance_score: score,
          ...(wanted === true && { document: { text: documents[index] ?? '' } }),
        })),
        usage: { prompt_tokens: answer.promptTokens, total_tokens: answer.promptTokens },
        weft: { nodes: [...answer.nodes], plan: planSummary(answer.plan) },
      };
    },
  };
}
