// Broadcast of small signed messages among members. gossipsub does it today; the mesh sees only the interface.
import {
  type GossipSub,
  type GossipSubComponents,
  gossipsub,
  type Message,
  StrictSign,
  TopicValidatorResult,
} from '@libp2p/gossipsub';
import type { NodeId } from '../../protocol/ids.ts';
import type { Log } from '../core/log.ts';
import type { MeshLimits } from './limits.ts';

/** Best effort: a message reaches most members within some milliseconds, once, in no order; some may miss it. */
export interface Gossip {
  publish(data: Uint8Array): void;
  /** `author` has signed the message, whoever passed it on. */
  onMessage(listener: (author: NodeId, data: Uint8Array) => void): void;
}

export interface GossipInit {
  readonly topic: string;
  readonly limits: MeshLimits;
}

/** gossipsub as a libp2p service with every bound set, for one topic. */
export function gossipService({ topic, limits }: GossipInit): (components: GossipSubComponents) => GossipSub {
  const { gossip } = limits;
  return gossipsub({
    allowedTopics: [topic],
    decodeRpcLimits: gossip.decode,
    maxTopicBytesPerPeer: gossip.topicBytesPerPeerMax,
    maxInboundDataLength: gossip.inboundBytesMax,
    maxOutboundBufferSize: gossip.outboundBufferBytesMax,
    maxInboundStreams: gossip.maxInboundStreams,
    maxOutboundStreams: gossip.maxOutboundStreams,
    runOnLimitedConnection: false,
    seenTTL: gossip.seenTtlMs,
    mcacheLength: 5,
    mcacheGossip: 3,
    heartbeatInterval: 1_000,
    messageProcessingConcurrency: 8,
    idontwantMaxMessages: gossip.decode.maxIdontwantMessageIDs,
    globalSignaturePolicy: StrictSign,
    // Adverts are few, and a member that misses one asks for it a heartbeat later: send to all at once.
    floodPublish: true,
    emitSelf: false,
    fallbackToFloodsub: false,
    canRelayMessage: false,
    // Peers are found by the directory, never by what a peer says on leaving the topic.
    doPX: false,
    prunePeers: 0,
    directPeers: [],
    tagMeshPeers: false,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    // Several nodes behind one address are a household, not an attack; membership keeps strangers out.
    scoreParams: { IPColocationFactorWeight: 0 },
  });
}

/** The topic of a started gossipsub as a {@link Gossip}. */
export function gossipOver(
  components: { readonly service: GossipSub; readonly log: Log; readonly isMember: (node: NodeId) => boolean },
  { topic, limits }: GossipInit,
): Gossip {
  const { service, log, isMember } = components;
  const isValid = (message: Message): boolean =>
    message.type === 'signed' &&
    isMember(message.from.toString()) &&
    message.data.byteLength <= limits.gossip.messageBytesMax;
  service.topicValidators.set(topic, (_peer, message) =>
    isValid(message) ? TopicValidatorResult.Accept : TopicValidatorResult.Reject,
  );
  service.subscribe(topic);
  return {
    publish(data) {
      service.publish(topic, data).catch((error: unknown) => log.debug({ error: String(error) }, 'gossip not sent'));
    },
    onMessage(listener) {
      service.addEventListener('message', ({ detail: message }) => {
        if (message.topic === topic && message.type === 'signed') listener(message.from.toString(), message.data);
      });
    },
  };
}
