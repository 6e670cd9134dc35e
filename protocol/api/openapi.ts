// What a node answers over HTTP, as an OpenAPI 3.1 document: made from the same schemas that check requests, so that it
// can't say anything else. The gateway serves it; a test holds it against the gateway's endpoints.
import { z } from 'zod';
import * as control from './control.ts';
import { CUT_HEADER, RAW_HEADER } from './locality.ts';
import * as openai from './openai.ts';
import * as ranking from './rerank.ts';
import { DEADLINE_HEADER, DEADLINE_MS_MAX, PRIORITIES, PRIORITY_HEADER } from './urgency.ts';

type AnswerName = keyof typeof ANSWERS;

/** An endpoint as the document shows it. */
interface Operation {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  /** With the names of its parameters in braces. */
  readonly path: string;
  readonly summary: string;
  readonly query?: z.ZodObject;
  /** Name of the body's schema. */
  readonly request?: keyof typeof REQUESTS;
  /** The body is a form. */
  readonly form?: true;
  /** Name of the answer's schema, or of those that it may have, or another type of content. */
  readonly answer: AnswerName | readonly AnswerName[] | { readonly type: string };
  /** Name of the schema of a streamed answer's events. */
  readonly events?: keyof typeof ANSWERS;
  /** Answered without a key. */
  readonly open?: true;
  /** It runs models, or prepares to: deadline, priority and what must stay here may stand in its headers. */
  readonly work?: true;
  /** It runs graphs, or prepares to: where they are cut may stand in its headers. */
  readonly graph?: true;
}

const Health = z.object({ status: z.string() });

/** Bodies that are sent. */
const REQUESTS = {
  ChatCompletionRequest: openai.ChatCompletionRequest,
  CompletionRequest: openai.CompletionRequest,
  EmbeddingRequest: openai.EmbeddingRequest,
  RerankRequest: ranking.RerankRequest,
  ResponseRequest: openai.ResponseRequest,
  TranscriptionRequest: openai.TranscriptionRequest,
  TranslationRequest: openai.TranslationRequest,
  ConfigRequest: control.ConfigRequest,
  ConversationFile: control.ConversationFile,
  ConversationPatch: control.ConversationPatch,
  ConversationRequest: control.ConversationRequest,
  SendRequest: control.SendRequest,
  RegenerateRequest: control.RegenerateRequest,
  EmptyRequest: control.EmptyRequest,
  InferRequest: control.InferRequest,
  InvitationRequest: control.InvitationRequest,
  JoinRequest: control.JoinRequest,
  PlanRequest: control.PlanRequest,
  ModelRequest: control.ModelRequest,
  LoadRequest: control.LoadRequest,
  PullRequest: control.PullRequest,
  ImportRequest: control.ImportRequest,
  VerifyRequest: control.VerifyRequest,
  CleanUpRequest: control.CleanUpRequest,
  RevokeRequest: control.RevokeRequest,
  CancelRequest: control.CancelRequest,
  SharingRequest: control.SharingRequest,
  SignInRequest: control.SignInRequest,
} as const satisfies Record<string, z.ZodType>;

/** Bodies and events that come back. */
const ANSWERS = {
  ChatCompletion: openai.ChatCompletion,
  ChatCompletionChunk: openai.ChatCompletionChunk,
  Completion: openai.Completion,
  EmbeddingList: openai.EmbeddingList,
  ErrorBody: openai.ErrorBody,
  Model: openai.Model,
  ModelList: openai.ModelList,
  Response: openai.Response,
  ResponseDeleted: openai.ResponseDeleted,
  ResponseEvent: openai.ResponseEvent,
  RerankAnswer: ranking.RerankAnswer,
  TranscriptEvent: openai.TranscriptEvent,
  Transcription: openai.Transcription,
  VerboseTranscription: openai.VerboseTranscription,
  ConfigAnswer: control.ConfigAnswer,
  ControlEvent: control.ControlEvent,
  Conversation: control.Conversation,
  ConversationDeleted: control.ConversationDeleted,
  ConversationMessage: control.ConversationMessage,
  ConversationsAnswer: control.ConversationsAnswer,
  SendAnswer: control.SendAnswer,
  RegenerateAnswer: control.RegenerateAnswer,
  AnswerStreamEvent: control.AnswerStreamEvent,
  CutsAnswer: control.CutsAnswer,
  DoctorAnswer: control.DoctorAnswer,
  HistoryAnswer: control.HistoryAnswer,
  Health,
  InferAnswer: control.InferAnswer,
  InvitationAnswer: control.InvitationAnswer,
  InvitationCancelled: control.InvitationCancelled,
  InvitationsAnswer: control.InvitationsAnswer,
  JoinAnswer: control.JoinAnswer,
  KeyAnswer: control.KeyAnswer,
  LogsAnswer: control.LogsAnswer,
  MembersAnswer: control.MembersAnswer,
  ModelAnswer: control.ModelAnswer,
  ModelsAnswer: control.ModelsAnswer,
  PeersAnswer: control.PeersAnswer,
  PlanAnswer: control.PlanAnswer,
  ReplayAnswer: control.ReplayAnswer,
  PsAnswer: control.PsAnswer,
  RemoveAnswer: control.RemoveAnswer,
  RequestAnswer: control.RequestAnswer,
  RequestsAnswer: control.RequestsAnswer,
  RevokeAnswer: control.RevokeAnswer,
  SessionAnswer: control.SessionAnswer,
  SessionsAnswer: control.SessionsAnswer,
  SignInLinkAnswer: control.SignInLinkAnswer,
  SignOutAnswer: control.SignOutAnswer,
  SharingAnswer: control.SharingAnswer,
  StatusAnswer: control.StatusAnswer,
  StopAnswer: control.StopAnswer,
  RestartAnswer: control.RestartAnswer,
  AcceptedAnswer: control.AcceptedAnswer,
  UnloadAnswer: control.UnloadAnswer,
  LoadAnswer: control.LoadAnswer,
  PullAnswer: control.PullAnswer,
  ImportAnswer: control.ImportAnswer,
  VerifyAnswer: control.VerifyAnswer,
  CleanUpAnswer: control.CleanUpAnswer,
  MeshModelsAnswer: control.MeshModelsAnswer,
  TransfersAnswer: control.TransfersAnswer,
  CatalogueAnswer: control.CatalogueAnswer,
  CancelAnswer: control.CancelAnswer,
} as const satisfies Record<string, z.ZodType>;

const V1 = '/api/v1';

const OPERATIONS: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/chat/completions',
    summary: 'A chat answer, whole or streamed',
    work: true,
    request: 'ChatCompletionRequest',
    answer: 'ChatCompletion',
    events: 'ChatCompletionChunk',
  },
  {
    method: 'post',
    path: '/v1/completions',
    summary: 'Goes on with texts as they stand',
    work: true,
    request: 'CompletionRequest',
    answer: 'Completion',
    events: 'Completion',
  },
  {
    method: 'post',
    path: '/v1/responses',
    summary: 'An answer in the shape of the Responses API',
    work: true,
    request: 'ResponseRequest',
    answer: 'Response',
    events: 'ResponseEvent',
  },
  {
    method: 'get',
    path: '/v1/responses/{id}',
    summary: 'An answer that is still kept',
    query: openai.ResponseQuery,
    answer: 'Response',
  },
  {
    method: 'delete',
    path: '/v1/responses/{id}',
    summary: 'Forgets an answer',
    answer: 'ResponseDeleted',
  },
  {
    method: 'post',
    path: '/v1/embeddings',
    summary: 'Vectors of texts',
    work: true,
    request: 'EmbeddingRequest',
    answer: 'EmbeddingList',
  },
  {
    method: 'post',
    path: '/v1/rerank',
    summary: 'How well documents answer a query, best first',
    work: true,
    request: 'RerankRequest',
    answer: 'RerankAnswer',
  },
  {
    method: 'post',
    path: '/v1/audio/transcriptions',
    summary: 'What is said in a sound',
    work: true,
    request: 'TranscriptionRequest',
    form: true,
    answer: ['Transcription', 'VerboseTranscription'],
    events: 'TranscriptEvent',
  },
  {
    method: 'post',
    path: '/v1/audio/translations',
    summary: 'The same in English',
    work: true,
    request: 'TranslationRequest',
    form: true,
    answer: ['Transcription', 'VerboseTranscription'],
  },
  { method: 'get', path: '/v1/models', summary: 'What the mesh can run now', answer: 'ModelList' },
  { method: 'get', path: '/v1/models/{model}', summary: 'One model, by hub id or short name', answer: 'Model' },

  { method: 'get', path: `${V1}/status`, summary: 'This node', answer: 'StatusAnswer' },
  { method: 'get', path: `${V1}/peers`, summary: 'Every other member, as it is known here', answer: 'PeersAnswer' },
  { method: 'get', path: `${V1}/members`, summary: 'Who belongs to the mesh', answer: 'MembersAnswer' },
  {
    method: 'post',
    path: `${V1}/members/revoke`,
    summary: 'Takes a member out of the mesh for good',
    request: 'RevokeRequest',
    answer: 'RevokeAnswer',
  },
  {
    method: 'post',
    path: `${V1}/invitations`,
    summary: 'A ticket for one more device',
    request: 'InvitationRequest',
    answer: 'InvitationAnswer',
  },
  {
    method: 'get',
    path: `${V1}/invitations`,
    summary: 'Tickets that nobody has used yet',
    answer: 'InvitationsAnswer',
  },
  {
    method: 'delete',
    path: `${V1}/invitations/{id}`,
    summary: 'Nobody comes in by this ticket any more',
    answer: 'InvitationCancelled',
  },
  {
    method: 'post',
    path: `${V1}/join`,
    summary: 'Leaves a mesh of one for the mesh of a ticket',
    request: 'JoinRequest',
    answer: 'JoinAnswer',
  },
  { method: 'get', path: `${V1}/models`, summary: 'What the mesh can run, and where', answer: 'ModelsAnswer' },
  {
    method: 'get',
    path: `${V1}/models/{model}`,
    summary: 'A model that is installed here: its files, inputs and outputs',
    answer: 'ModelAnswer',
  },
  {
    method: 'post',
    path: `${V1}/models/load`,
    summary: 'Loads a model on this node, and pins it if asked to',
    request: 'LoadRequest',
    answer: 'LoadAnswer',
  },
  {
    method: 'post',
    path: `${V1}/models/unload`,
    summary: "Frees a model's memory on this node",
    request: 'ModelRequest',
    answer: 'UnloadAnswer',
  },
  {
    method: 'post',
    path: `${V1}/models/remove`,
    summary: "Deletes an installed model's files",
    request: 'ModelRequest',
    answer: 'RemoveAnswer',
  },
  {
    method: 'get',
    path: `${V1}/models/mesh`,
    summary: 'Every model that a node of the mesh has files of, and how much of it lies where',
    answer: 'MeshModelsAnswer',
  },
  {
    method: 'post',
    path: `${V1}/models/pull`,
    summary: 'Brings a model here, verified, and offers it; may take hours, and ends with its last client',
    request: 'PullRequest',
    answer: 'PullAnswer',
  },
  {
    method: 'post',
    path: `${V1}/models/import`,
    summary: "Makes a model of files on the node's own disk",
    request: 'ImportRequest',
    answer: 'ImportAnswer',
  },
  {
    method: 'post',
    path: `${V1}/models/verify`,
    summary: 'Hashes one model or all, and brings bad chunks anew',
    request: 'VerifyRequest',
    answer: 'VerifyAnswer',
  },
  {
    method: 'post',
    path: `${V1}/models/gc`,
    summary: 'Deletes what nothing needs',
    request: 'CleanUpRequest',
    answer: 'CleanUpAnswer',
  },
  {
    method: 'get',
    path: `${V1}/transfers`,
    summary: 'Pulls, imports and repairs that run, and the last few that ended',
    answer: 'TransfersAnswer',
  },
  {
    method: 'get',
    path: `${V1}/catalogue`,
    summary: 'Models that have a short name, to pull by it',
    answer: 'CatalogueAnswer',
  },
  {
    method: 'post',
    path: `${V1}/transfers/cancel`,
    summary: 'Ends one of them, whoever asked for it; what has come is kept',
    request: 'CancelRequest',
    answer: 'CancelAnswer',
  },
  {
    method: 'get',
    path: `${V1}/conversations`,
    summary: 'Conversations that this node keeps, last used first',
    query: control.ConversationsQuery,
    answer: 'ConversationsAnswer',
  },
  {
    method: 'post',
    path: `${V1}/conversations`,
    summary: 'Begins a conversation',
    request: 'ConversationRequest',
    answer: 'Conversation',
  },
  {
    method: 'post',
    path: `${V1}/conversations/import`,
    summary: 'Keeps a conversation that was exported',
    request: 'ConversationFile',
    answer: 'Conversation',
  },
  { method: 'get', path: `${V1}/conversations/{id}`, summary: 'One with its messages', answer: 'Conversation' },
  {
    method: 'patch',
    path: `${V1}/conversations/{id}`,
    summary: 'Changes its title, model, system prompt, settings or branch',
    request: 'ConversationPatch',
    answer: 'Conversation',
  },
  {
    method: 'delete',
    path: `${V1}/conversations/{id}`,
    summary: 'Deletes it, and ends its answers',
    answer: 'ConversationDeleted',
  },
  {
    method: 'get',
    path: `${V1}/conversations/{id}/export`,
    summary: 'As a file, to be read in again or by people',
    query: control.ExportQuery,
    answer: { type: 'application/json' },
  },
  {
    method: 'post',
    path: `${V1}/conversations/{id}/messages`,
    summary: 'Adds a message, and begins to answer it',
    work: true,
    request: 'SendRequest',
    answer: 'SendAnswer',
  },
  {
    method: 'post',
    path: `${V1}/conversations/{id}/messages/{message}/regenerate`,
    summary: 'Begins another answer',
    work: true,
    request: 'RegenerateRequest',
    answer: 'RegenerateAnswer',
  },
  {
    method: 'post',
    path: `${V1}/conversations/{id}/messages/{message}/stop`,
    summary: 'Ends an answer, and keeps what has come',
    request: 'EmptyRequest',
    answer: 'RegenerateAnswer',
  },
  {
    method: 'get',
    path: `${V1}/conversations/{id}/messages/{message}/stream`,
    summary: "An answer's text while it comes",
    query: control.AnswerStreamQuery,
    answer: 'ConversationMessage',
    events: 'AnswerStreamEvent',
  },
  { method: 'get', path: `${V1}/ps`, summary: "What this node's runners hold", answer: 'PsAnswer' },
  {
    method: 'post',
    path: `${V1}/infer`,
    summary: 'Runs any graph of the mesh on tensors',
    work: true,
    graph: true,
    request: 'InferRequest',
    answer: 'InferAnswer',
  },
  {
    method: 'get',
    path: `${V1}/requests`,
    summary: 'The last requests, newest first',
    query: control.RequestsQuery,
    answer: 'RequestsAnswer',
  },
  {
    method: 'get',
    path: `${V1}/requests/{id}`,
    summary: 'The way of a request: spans, plans, failures',
    answer: 'RequestAnswer',
  },
  {
    method: 'get',
    path: `${V1}/requests/{id}/replay`,
    summary: 'The decisions of a request, made again on what was known then, by Weft or another policy',
    query: control.ReplayQuery,
    answer: 'ReplayAnswer',
  },
  {
    method: 'post',
    path: `${V1}/plan`,
    summary: 'Where a request would go now, and why: nothing is run',
    work: true,
    graph: true,
    request: 'PlanRequest',
    answer: 'PlanAnswer',
  },
  {
    method: 'get',
    path: `${V1}/cuts`,
    summary: 'Where the graph of an installed model can be cut; measured now where it is not known',
    query: control.CutsQuery,
    answer: 'CutsAnswer',
  },
  {
    method: 'get',
    path: `${V1}/logs`,
    summary: 'The last lines of the log, oldest first',
    query: control.LogsQuery,
    answer: 'LogsAnswer',
  },
  {
    method: 'get',
    path: `${V1}/events`,
    summary: 'What happens on this node, as server-sent events',
    query: control.EventsQuery,
    answer: { type: 'text/event-stream' },
    events: 'ControlEvent',
  },
  {
    method: 'get',
    path: `${V1}/nodes/{node}/events`,
    summary: 'What happens on a node that may be managed from here, as server-sent events',
    query: control.EventsQuery,
    answer: { type: 'text/event-stream' },
    events: 'ControlEvent',
  },
  {
    method: 'get',
    path: `${V1}/history`,
    summary: "This node's pulses of the last hour: load, times, links",
    query: control.HistoryQuery,
    answer: 'HistoryAnswer',
  },
  { method: 'get', path: `${V1}/config`, summary: 'Every setting, and where it came from', answer: 'ConfigAnswer' },
  {
    method: 'patch',
    path: `${V1}/config`,
    summary: 'Changes settings, all or none; null takes one out of the file',
    request: 'ConfigRequest',
    answer: 'ConfigAnswer',
  },
  {
    method: 'get',
    path: `${V1}/sharing`,
    summary: 'Whether anything is done here for other members',
    answer: 'SharingAnswer',
  },
  {
    method: 'post',
    path: `${V1}/sharing`,
    summary: "Pauses what is done here for other members, until the node's next start, or resumes it",
    request: 'SharingRequest',
    answer: 'SharingAnswer',
  },
  { method: 'get', path: `${V1}/doctor`, summary: 'Checks every layer; may take 20 s', answer: 'DoctorAnswer' },
  {
    method: 'post',
    path: `${V1}/key`,
    summary: 'A new API key; the old one is worthless from here on',
    request: 'EmptyRequest',
    answer: 'KeyAnswer',
  },
  {
    method: 'post',
    path: `${V1}/session`,
    summary: "Signs a browser in to the node's pages, by a one-time link or the API key",
    request: 'SignInRequest',
    answer: 'SessionAnswer',
    open: true,
  },
  { method: 'get', path: `${V1}/session`, summary: 'How the caller is let in', answer: 'SessionAnswer' },
  { method: 'delete', path: `${V1}/session`, summary: 'Signs the browser out', answer: 'SignOutAnswer' },
  {
    method: 'post',
    path: `${V1}/session/link`,
    summary: 'A link that signs one browser in, once',
    request: 'EmptyRequest',
    answer: 'SignInLinkAnswer',
  },
  { method: 'get', path: `${V1}/sessions`, summary: 'Browsers that are signed in', answer: 'SessionsAnswer' },
  { method: 'delete', path: `${V1}/sessions/{id}`, summary: 'Signs a browser out', answer: 'SignOutAnswer' },
  {
    method: 'post',
    path: `${V1}/stop`,
    summary: 'Ends the node',
    request: 'EmptyRequest',
    answer: 'StopAnswer',
  },
  {
    method: 'post',
    path: `${V1}/restart`,
    summary: 'Ends the node, and begins it anew with the same command line',
    request: 'EmptyRequest',
    answer: 'RestartAnswer',
  },
  ...managed(),

  {
    method: 'get',
    path: '/api/openapi.json',
    summary: 'This document',
    answer: { type: 'application/json' },
  },
  { method: 'get', path: '/metrics', summary: 'Metrics for Prometheus', answer: { type: 'text/plain' } },
  { method: 'get', path: '/healthz', summary: 'The API answers', answer: 'Health', open: true },
  { method: 'get', path: '/readyz', summary: 'The API answers', answer: 'Health', open: true },
];

/** The same operations at other nodes of the mesh: each has the schemas of the endpoint that it stands for. */
function managed(): Operation[] {
  return Object.values(control.MANAGED_OPERATIONS).map(
    ({ method, path, request, answer, lasting }: control.AnyManagedRow): Operation => {
      const answers = lasting === true ? [answer, control.AcceptedAnswer] : [answer];
      const names = answers.map((schema) => nameOf(ANSWERS, schema) as AnswerName);
      return {
        method: method.toLowerCase() as Operation['method'],
        path: `${V1}/nodes/{node}/${path}`,
        summary: `${method} ${V1}/${path} of a node that may be managed from here`,
        ...(method === 'GET'
          ? queryOf(request, path)
          : { request: nameOf(REQUESTS, request) as NonNullable<Operation['request']> }),
        answer: names,
      };
    },
  );
}

/** The query of a `GET`, without what stands in its path. */
function queryOf(request: z.ZodType, path: string): Pick<Operation, 'query'> {
  if (!(request instanceof z.ZodObject) || path.endsWith('}') || Object.keys(request.shape).length === 0) return {};
  return { query: request };
}

/** Under which a schema stands in one of the tables above. */
function nameOf(table: Readonly<Record<string, z.ZodType>>, schema: z.ZodType): string | undefined {
  return Object.entries(table).find(([, listed]) => listed === schema)?.[0];
}

/** Headers of every request for work. */
const WORK_PARAMETERS = [
  {
    name: DEADLINE_HEADER,
    in: 'header',
    required: false,
    description:
      'Milliseconds until the whole answer must be there. One that is predicted to take longer is refused at once.',
    schema: { type: 'integer', minimum: 1, maximum: DEADLINE_MS_MAX },
  },
  {
    name: PRIORITY_HEADER,
    in: 'header',
    required: false,
    description: 'Interactive work goes before batch work wherever both wait.',
    schema: { type: 'string', enum: [...PRIORITIES], default: PRIORITIES[0] },
  },
  {
    name: RAW_HEADER,
    in: 'header',
    required: false,
    description:
      '"local": nothing that the request brings leaves this node. Of a graph also "local:NAME,NAME": these inputs do not.',
    schema: { type: 'string', pattern: '^local(:.+)?$' },
  },
] as const;

/** And of every request for a graph. */
const GRAPH_PARAMETERS = [
  {
    name: CUT_HEADER,
    in: 'header',
    required: false,
    description: '"auto", "never", or where the graph is cut: numbers of cut points or names of tensors, by commas.',
    schema: { type: 'string', default: 'auto' },
  },
] as const;

const SCHEMAS = '#/components/schemas/';

/**
 * The document.
 * @param init version of the node
 */
export function openApiDocument({ version }: { readonly version: string }): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of OPERATIONS) {
    const path = paths[operation.path] ?? {};
    paths[operation.path] = path;
    path[operation.method] = describe(operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Weft',
      version,
      description: "Inference over one's own machines: OpenAI's API, and the control API of the node beside.",
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ key: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'The API key of the node.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'weft_session_*',
          description:
            'Of a browser that is signed in; the name ends in a part of the node id. Every method but GET and HEAD needs the header x-weft-csrf too.',
        },
      },
      schemas: { ...jsonSchemas(REQUESTS, 'input'), ...jsonSchemas(ANSWERS, 'output') },
      responses: {
        Error: {
          description: 'A refusal or a failure; 429 and 503 come with Retry-After.',
          content: { 'application/json': { schema: { $ref: `${SCHEMAS}ErrorBody` } } },
        },
      },
    },
  };
}

function describe(operation: Operation): object {
  const { method, path, summary, query, request, form, answer, events, open, work, graph } = operation;
  const parameters = [
    ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...(query === undefined ? [] : queryParameters(query)),
    ...(work === true ? WORK_PARAMETERS : []),
    ...(graph === true ? GRAPH_PARAMETERS : []),
  ];
  const content = contentOf(answer);
  if (events !== undefined) content['text/event-stream'] = ref(events);
  return {
    operationId: method + path.replace(/[^a-zA-Z0-9]+(\w?)/g, (_all, next: string) => next.toUpperCase()),
    summary,
    tags: [path.startsWith('/v1/') ? 'OpenAI' : path.startsWith(V1) ? 'Control' : 'Node'],
    ...(open === true ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(request === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { [form === true ? 'multipart/form-data' : 'application/json']: ref(request) },
          },
        }),
    responses: {
      200: { description: 'The answer.', content },
      ...(open === true ? {} : { default: { $ref: '#/components/responses/Error' } }),
    },
  };
}

const ref = (name: string): object => ({ schema: { $ref: SCHEMAS + name } });

function contentOf(answer: Operation['answer']): Record<string, object> {
  if (typeof answer === 'string') return { 'application/json': ref(answer) };
  if ('type' in answer) return { [answer.type]: {} };
  const anyOf = answer.map((name) => ({ $ref: SCHEMAS + name }));
  return { 'application/json': { schema: { anyOf } } };
}

function queryParameters(query: z.ZodObject): object[] {
  const { properties = {} } = z.toJSONSchema(query, { io: 'input', unrepresentable: 'any' });
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }));
}

function jsonSchemas(schemas: Readonly<Record<string, z.ZodType>>, io: 'input' | 'output'): Record<string, object> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const made = z.toJSONSchema(registry, {
    io,
    unrepresentable: 'any',
    uri: (id) => SCHEMAS + id,
    // A newer node may add fields to its answers. Requests keep to what is named.
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return Object.fromEntries(
    Object.entries(made.schemas).map(([id, { $schema: _schema, $id: _id, ...schema }]) => [id, schema]),
  );
}
