// POST /api/v1/plan and GET /api/v1/requests/{id}/replay: where a request would go now, and where an earlier one would have
// gone under another policy. Nothing is run. Answers are PlanAnswer and ReplayAnswer of protocol/api/control/plans.ts.
import { PlanRequest, ReplayQuery } from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';
import { byteLength, elementCount, type NamedTensor } from '../../protocol/tensor.ts';
import type { NodeControl } from '../core/control.ts';
import type { Coordinator, PlanRequest as PlannedRequest } from '../core/coordinator.ts';
import { consideredCut } from './cuts.ts';
import type { Endpoint } from './exchange.ts';

export interface PlansComponents {
  readonly control: Pick<NodeControl, 'explain' | 'replay'>;
  readonly coordinator: Pick<Coordinator, 'plan'>;
  readonly self: NodeId;
}

/** Bytes of all tensors of one dry run: more than a request with them could carry. */
const TENSOR_BYTES_MAX = 16 << 20;

/** The endpoints. */
export function plans({ control, coordinator, self }: PlansComponents): readonly Endpoint[] {
  return [
    {
      method: 'POST',
      url: '/api/v1/plan',
      dryRun: true,
      graph: true,
      async handle(exchange) {
        const request = plannedRequest(await exchange.readJson(PlanRequest));
        const { model, work, inputTokens, requests, plan, cut } = await coordinator.plan(request, exchange);
        const { lines, unmeetable } = control.explain(plan, exchange.leftMs?.());
        const { deadlineMs } = exchange;
        return {
          model: model.id,
          work,
          inputTokens,
          requests,
          plan,
          explanation: lines,
          ...(cut !== undefined && { cut: consideredCut(cut, self) }),
          ...(deadlineMs !== undefined && {
            deadline: { deadlineMs, meetable: unmeetable === undefined, ...unmeetable },
          }),
        };
      },
    },
    {
      method: 'GET',
      url: '/api/v1/requests/:id/replay',
      handle(exchange) {
        const { policy } = exchange.readQuery(ReplayQuery);
        return control.replay(exchange.parameter('id'), policy);
      },
    },
  ];
}

function plannedRequest({ model, input, inputs, query, max_tokens: maxTokens }: PlanRequest): PlannedRequest {
  if ((input === undefined) === (inputs === undefined)) {
    throw new WeftError({
      code: 'bad_request',
      message: 'A plan is made for texts ("input") or for tensors ("inputs"): one of them must be there.',
      facts: { param: 'input' },
    });
  }
  if (inputs !== undefined) return { model, kind: 'tensors', inputs: emptyTensors(inputs) };
  return {
    model,
    kind: 'texts',
    texts: typeof input === 'string' ? [input] : (input ?? []),
    ...(query !== undefined && { query }),
    ...(maxTokens !== undefined && { maxTokens }),
  };
}

/** Tensors of these shapes. A text counts as an empty one. @throws WeftError `tensor_invalid` past {@link TENSOR_BYTES_MAX} */
function emptyTensors(inputs: NonNullable<PlanRequest['inputs']>): readonly NamedTensor[] {
  let left = TENSOR_BYTES_MAX;
  return inputs.map(({ name, dtype: type, shape: dims }) => {
    // An empty text is the four bytes of its length.
    const bytes = type === 'string' ? elementCount(dims) * 4 : (byteLength(type, dims) ?? 0);
    left -= bytes;
    if (left >= 0) return { name, type, dims, data: new Uint8Array(bytes) };
    throw new WeftError({
      code: 'tensor_invalid',
      message: `The tensors have more than ${TENSOR_BYTES_MAX} bytes, which no request carries.`,
      facts: { param: 'inputs' },
    });
  });
}
