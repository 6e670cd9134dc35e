// Heavy work on input, away from the thread that answers peers. Implemented by node/prep in a process of its own.
import type { GraphPart } from '../../protocol/part.ts';

/** What becomes of a text. */
export interface Tokenized {
  readonly ids: Int32Array;
  /** True when the text went on after `tokensMax`. */
  readonly truncated: boolean;
}

/** How a model hears. */
export interface SoundSpec {
  /** Samples a second. */
  readonly sampleRate: number;
  /** Samples of one spectrum. */
  readonly fftSize: number;
  /** Samples from one spectrum to the next. */
  readonly hopLength: number;
  readonly melBins: number;
}

/** A sound as a speech model takes it: log-mel spectra, one after the other. */
export interface Spectrogram {
  /** float32 [frames, melBins] */
  readonly data: Float32Array;
  readonly frames: number;
  readonly melBins: number;
  /** Whole hops of the sound: where it ends. A few frames behind that still hear its last samples. */
  readonly contentFrames: number;
  /** Every value of the frames that would follow. */
  readonly silence: number;
}

/** Files that are to become a model. */
export interface InspectRequest {
  /** An .onnx file, or a folder: one in the hub's layout, or any that holds one graph. Absolute. */
  readonly path: string;
  /** `owner/name`. @default `local/` and the name of the file or folder */
  readonly id?: string;
  /** The graph, relative to the folder. @default the only one there is */
  readonly graph?: string;
  /** @default guessed from inputs, outputs and config */
  readonly task?: string;
  /** SPDX identifier. @default read from a licence file or a model card, else `LicenseRef-unknown` */
  readonly licence?: string;
}

/** What became of them. */
export interface Inspected {
  /** In canonical form, so that its SHA-256 is the model's digest. */
  readonly manifestJson: string;
  /** Every file of the manifest by its path there, and where it lies now: absolute. */
  readonly sources: readonly { readonly path: string; readonly from: string }[];
  /** Why this task, in one sentence. */
  readonly reason: string;
  /** What a person should know, such as a licence that could not be told. */
  readonly warnings: readonly string[];
}

/** A part of a graph whose file may still have holes. */
export interface PartRequest {
  /** Where the graph's file lies: of full size, with holes. Absolute. */
  readonly from: string;
  /** The graph's path among the files. */
  readonly graph: string;
  /** All files of the model, as its manifest says. */
  readonly files: readonly { readonly path: string; readonly sizeBytes: number; readonly chunkBytes: number }[];
  /** Chunks of the graph's file that are there, verified: bit i of byte i / 8, lowest first. */
  readonly present: Uint8Array;
  readonly part: GraphPart;
}

/** What is to be brought for it. */
export type PartNeeds =
  /** Chunks of the graph's file without which its structure can't be read further. */
  | { readonly missing: readonly number[] }
  /** The structure is there. */
  | {
      /**
       * Files that the graph names, itself included, each with the chunks that hold weights of the part: as
       * {@link PartRequest.present}. Those of which no chunk is needed must be there all the same, of full size.
       */
      readonly files: readonly { readonly path: string; readonly chunks: Uint8Array }[];
      /** Of the part's weights that lie there, without what is between them. */
      readonly weightBytes: number;
    };

/** Parts of a graph that are to become files. */
export interface PartFileRequest {
  /** The graph's file: absolute. */
  readonly graph: string;
  /** The parts, each with the name of the file that its weights are to lie in, beside its own. */
  readonly parts: readonly { readonly part: GraphPart; readonly weights: string }[];
}

export interface PartFile {
  /** An ONNX file, which refers to the file of its weights. */
  readonly model: Uint8Array;
  /**
   * What that file consists of, in order: bytes of files in the folder of the whole graph (`location` from there), zeros in
   * between. None for a part without.
   */
  readonly weights: readonly {
    readonly location: string;
    readonly offset: number;
    readonly length: number;
    /** Where they begin in the new file. */
    readonly at: number;
  }[];
}

/** Makes parts of graphs that become files: beside {@link Prep}, as only the command line has a use for it. */
export interface PartMaker {
  /**
   * Reads and checks the graph, and makes the parts.
   * @throws WeftError `model_corrupt` for a damaged or hostile graph; `tensor_invalid`, `bad_request` for a part that it
   *   doesn't have; `deadline_exceeded`, `cancelled`
   */
  partModels(request: PartFileRequest, options: { readonly signal: AbortSignal }): Promise<readonly PartFile[]>;
}

export interface Prep {
  /**
   * Token ids of a long text. Work and memory stay bounded by `tokensMax`, however long the text is.
   * @param tokenizerFolder holds tokenizer.json and tokenizer_config.json
   * @param options.tokensMax stop after this many ids (special tokens included where added)
   * @throws WeftError `deadline_exceeded` or `cancelled`
   */
  tokenize(
    tokenizerFolder: string,
    text: string,
    options: { readonly tokensMax: number; readonly specialTokens: boolean; readonly signal: AbortSignal },
  ): Promise<Tokenized>;
  /**
   * Decodes a sound file (WAV, MP3, FLAC, Ogg Vorbis, Ogg Opus), mixes its channels, and gives its spectra.
   * @throws WeftError `bad_request` for what is no sound, too long, or of no known kind; `deadline_exceeded`, `cancelled`
   */
  listen(file: Uint8Array, spec: SoundSpec, options: { readonly signal: AbortSignal }): Promise<Spectrogram>;
  /**
   * Checks files that are to become a model, hashes them and makes their manifest. Changes nothing on disk.
   * @param options.onBytes told of bytes as they are hashed, each once
   * @throws WeftError `model_corrupt` for what is damaged, hostile or no model; `deadline_exceeded`, `cancelled`
   */
  inspect(
    request: InspectRequest,
    options: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void },
  ): Promise<Inspected>;
  /**
   * Reads the structure of a graph as far as it is there, checks it, and says what else a part of it needs. To be asked
   * again with what was missing, until nothing is.
   * @throws WeftError `model_corrupt` for a damaged or hostile graph; `tensor_invalid`, `bad_request` for a part that it
   *   doesn't have; `deadline_exceeded`, `cancelled`
   */
  partFiles(request: PartRequest, options: { readonly signal: AbortSignal }): Promise<PartNeeds>;
  stop(): Promise<void>;
}
