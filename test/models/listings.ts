// Listings of hub repositories as their authors lay them out, shortened where many files are alike: path and size.
import type { ListedFile } from '../../models/graph-variants.ts';

function listing(text: string): readonly ListedFile[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [path = '', size] = line.trim().split(/\s+/);
      return { path, sizeBytes: Number(size) };
    });
}

/** transformers.js: every precision in one file each, settings at the top. */
export const XENOVA_MINILM = listing(`
  .gitattributes 1477
  README.md 1433
  config.json 650
  onnx/model.onnx 90387630
  onnx/model_bnb4.onnx 54579684
  onnx/model_fp16.onnx 45317050
  onnx/model_int8.onnx 22972869
  onnx/model_q4.onnx 54579684
  onnx/model_q4f16.onnx 30022300
  onnx/model_quantized.onnx 22972370
  onnx/model_uint8.onnx 22972901
  quantize_config.json 1080
  special_tokens_map.json 125
  tokenizer.json 711661
  tokenizer_config.json 366
  vocab.txt 231508
`);

/** sentence-transformers: the original's own weights, optimised and quantised graphs for kinds of processors. */
export const SENTENCE_TRANSFORMERS = listing(`
  .gitattributes 1229
  1_Pooling/config.json 190
  README.md 10454
  config.json 612
  config_sentence_transformers.json 116
  data_config.json 39265
  model.safetensors 90868376
  modules.json 349
  onnx/model.onnx 90405214
  onnx/model_O1.onnx 90360328
  onnx/model_O2.onnx 90326566
  onnx/model_O3.onnx 90326497
  onnx/model_O4.onnx 45212349
  onnx/model_qint8_arm64.onnx 23026053
  onnx/model_qint8_avx512.onnx 23026053
  onnx/model_qint8_avx512_vnni.onnx 23026053
  onnx/model_quint8_avx2.onnx 23046789
  openvino/openvino_model.bin 90265744
  openvino/openvino_model.xml 211315
  pytorch_model.bin 90888945
  rust_model.ot 90887379
  sentence_bert_config.json 53
  special_tokens_map.json 112
  tf_model.h5 91005696
  tokenizer.json 466247
  tokenizer_config.json 350
  train_script.py 13156
  vocab.txt 231508
`);

/** The original with one ONNX file beside it, and its pooling. */
export const BAAI_BGE = listing(`
  1_Pooling/config.json 190
  README.md 94783
  config.json 743
  config_sentence_transformers.json 124
  model.safetensors 133466304
  modules.json 349
  onnx/model.onnx 133093490
  pytorch_model.bin 133508397
  sentence_bert_config.json 52
  special_tokens_map.json 125
  tokenizer.json 711396
  tokenizer_config.json 366
  vocab.txt 231508
`);

/** A reranker whose fp32 weights are too large for one file, as Optimum writes them. */
export const BGE_RERANKER = listing(`
  config.json 801
  onnx/model.onnx 547212
  onnx/model.onnx_data 2266820608
  onnx/model_fp16.onnx 1136102000
  onnx/model_quantized.onnx 570700000
  quantize_config.json 900
  sentencepiece.bpe.model 5069051
  special_tokens_map.json 964
  tokenizer.json 17098107
  tokenizer_config.json 1156
`);

/** Weights under the names that torch.onnx gives them. */
export const BGE_M3 = listing(`
  1_Pooling/config.json 191
  config.json 687
  modules.json 349
  onnx/Constant_7_attr__value 65552
  onnx/config.json 698
  onnx/model.onnx 724923
  onnx/model.onnx_data 2266820608
  onnx/sentencepiece.bpe.model 5069051
  onnx/special_tokens_map.json 964
  onnx/tokenizer.json 17082821
  onnx/tokenizer_config.json 1313
  pytorch_model.bin 2271145830
  special_tokens_map.json 964
  tokenizer.json 17098108
  tokenizer_config.json 444
`);

/** A chat model for transformers.js; the larger precisions with external data. */
export const QWEN3 = listing(`
  .gitattributes 1600
  README.md 3000
  added_tokens.json 707
  chat_template.jinja 4168
  config.json 1290
  generation_config.json 219
  merges.txt 1671853
  onnx/model.onnx 700123
  onnx/model.onnx_data 2384195584
  onnx/model_bnb4.onnx 875263000
  onnx/model_fp16.onnx 1192700000
  onnx/model_int8.onnx 598600000
  onnx/model_q4.onnx 919096585
  onnx/model_q4f16.onnx 569789750
  onnx/model_quantized.onnx 598600000
  onnx/model_uint8.onnx 598600000
  special_tokens_map.json 613
  tokenizer.json 11422654
  tokenizer_config.json 9732
  vocab.json 2776833
`);

/** A larger one: weights in pieces of 2 GB, and a folder of onnxruntime-genai beside them. */
export const QWEN3_4B = listing(`
  LICENSE 11343
  chat_template.jinja 4168
  config.json 1290
  generation_config.json 219
  model.safetensors.index.json 32819
  onnx/model_fp16.onnx 900000
  onnx/model_fp16.onnx_data 2096824320
  onnx/model_fp16.onnx_data_1 2096824320
  onnx/model_fp16.onnx_data_2 2096824320
  onnx/model_fp16.onnx_data_3 1754710000
  onnx/model_q4f16.onnx 1200000
  onnx/model_q4f16.onnx_data 2096005120
  onnx/model_q4f16.onnx_data_1 677150720
  onnxruntime/cpu_and_mobile/cpu-int4-kld-block-128/chat_template.jinja 4168
  onnxruntime/cpu_and_mobile/cpu-int4-kld-block-128/genai_config.json 1500
  onnxruntime/cpu_and_mobile/cpu-int4-kld-block-128/model.onnx 500000
  onnxruntime/cpu_and_mobile/cpu-int4-kld-block-128/model.onnx.data 2770000000
  onnxruntime/cpu_and_mobile/cpu-int4-kld-block-128/tokenizer.json 11422654
  tokenizer.json 11422654
  tokenizer_config.json 9732
`);

/** Whisper: encoder and decoder, in whole and in halves, at every precision. */
export const WHISPER_BASE = listing(`
  README.md 1200
  added_tokens.json 34604
  config.json 2243
  generation_config.json 3832
  merges.txt 493869
  normalizer.json 52666
  onnx/decoder_model.onnx 208400000
  onnx/decoder_model_fp16.onnx 104400000
  onnx/decoder_model_merged.onnx 208569000
  onnx/decoder_model_merged_bnb4.onnx 120000000
  onnx/decoder_model_merged_fp16.onnx 104714000
  onnx/decoder_model_merged_int8.onnx 53707000
  onnx/decoder_model_merged_q4.onnx 121800000
  onnx/decoder_model_merged_q4f16.onnx 69500000
  onnx/decoder_model_merged_quantized.onnx 53707000
  onnx/decoder_model_merged_uint8.onnx 53707000
  onnx/decoder_with_past_model.onnx 195700000
  onnx/decoder_with_past_model_fp16.onnx 98000000
  onnx/encoder_model.onnx 82474000
  onnx/encoder_model_bnb4.onnx 17700000
  onnx/encoder_model_fp16.onnx 41300000
  onnx/encoder_model_int8.onnx 23200000
  onnx/encoder_model_q4.onnx 18900000
  onnx/encoder_model_q4f16.onnx 14600000
  onnx/encoder_model_quantized.onnx 23200000
  onnx/encoder_model_uint8.onnx 23200000
  preprocessor_config.json 339
  special_tokens_map.json 2194
  tokenizer.json 2480466
  tokenizer_config.json 282683
  vocab.json 1036584
`);

/** Whisper as Optimum exports it: two decoders. */
export const WHISPER_HALVES = listing(`
  config.json 1315
  decoder_model.onnx 208400000
  decoder_with_past_model.onnx 195700000
  encoder_model.onnx 82474000
  generation_config.json 3832
  preprocessor_config.json 184990
  tokenizer.json 2480466
  tokenizer_config.json 282683
`);

/** onnxruntime-genai: a folder for each device, each with settings of its own. */
export const PHI3_GENAI = listing(`
  CODE_OF_CONDUCT.md 444
  LICENSE 1084
  NOTICE.md 1772
  README.md 10000
  config.json 967
  cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/added_tokens.json 293
  cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/config.json 919
  cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/genai_config.json 1589
  cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/phi3-mini-4k-instruct-cpu-int4-rtn-block-32-acc-level-4.onnx 224000
  cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/phi3-mini-4k-instruct-cpu-int4-rtn-block-32-acc-level-4.onnx.data 2722861056
  cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/tokenizer.json 1844866
  cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/tokenizer.model 499723
  cpu_and_mobile/cpu-int4-rtn-block-32-acc-level-4/tokenizer_config.json 3435
  cuda/cuda-fp16/genai_config.json 1600
  cuda/cuda-fp16/phi3-mini-4k-instruct-cuda-fp16.onnx 224000
  cuda/cuda-fp16/phi3-mini-4k-instruct-cuda-fp16.onnx.data 7642161152
  cuda/cuda-fp16/tokenizer.json 1844866
  cuda/cuda-int4-rtn-block-32/genai_config.json 1600
  cuda/cuda-int4-rtn-block-32/phi3-mini-4k-instruct-cuda-int4-rtn-block-32.onnx 224000
  cuda/cuda-int4-rtn-block-32/phi3-mini-4k-instruct-cuda-int4-rtn-block-32.onnx.data 2280000000
  cuda/cuda-int4-rtn-block-32/tokenizer.json 1844866
  directml/directml-int4-awq-block-128/genai_config.json 1600
  directml/directml-int4-awq-block-128/model.onnx 2100000
  directml/directml-int4-awq-block-128/model.onnx.data 2131000000
  directml/directml-int4-awq-block-128/tokenizer.json 1844866
`);

/** fastembed: one optimised graph at the top. */
export const QDRANT_BGE = listing(`
  .gitattributes 1519
  README.md 1200
  config.json 706
  model_optimized.onnx 66465124
  special_tokens_map.json 695
  tokenizer.json 711396
  tokenizer_config.json 1242
`);

/** Optimum's export of a chat model, at the top. */
export const OPTIMUM_TOP = listing(`
  config.json 967
  generation_config.json 132
  model.onnx 1200000
  model.onnx_data 4400000000
  tokenizer.json 1844866
  tokenizer_config.json 3435
`);

/** Pictures and text: embeddings, a vision encoder and a decoder apart. */
export const SMOLVLM = listing(`
  config.json 3767
  generation_config.json 136
  onnx/decoder_model_merged.onnx 500000000
  onnx/decoder_model_merged_q4.onnx 120000000
  onnx/embed_tokens.onnx 110000000
  onnx/embed_tokens_q4.onnx 110000000
  onnx/vision_encoder.onnx 370000000
  onnx/vision_encoder_q4.onnx 66000000
  preprocessor_config.json 486
  tokenizer.json 3547653
`);

/** A whole model, and its halves for pictures and for text. */
export const CLIP = listing(`
  config.json 4519
  onnx/model.onnx 605600000
  onnx/model_quantized.onnx 153400000
  onnx/text_model.onnx 254100000
  onnx/text_model_quantized.onnx 64500000
  onnx/vision_model.onnx 351500000
  onnx/vision_model_quantized.onnx 88900000
  preprocessor_config.json 316
  tokenizer.json 2224041
`);

/** Graphs that say nothing of which is which. */
export const OCR = listing(`
  README.md 900
  cls.onnx 585532
  det.onnx 4745517
  rec.onnx 10857958
`);

/** The original of a chat model: no ONNX at all. */
export const QWEN3_ORIGINAL = listing(`
  LICENSE 11343
  config.json 726
  generation_config.json 239
  merges.txt 1671853
  model-00001-of-00002.safetensors 3441185608
  model-00002-of-00002.safetensors 622329984
  model.safetensors.index.json 25605
  tokenizer.json 11422654
  tokenizer_config.json 9732
`);

export const GGUF_ONLY = listing(`
  README.md 4000
  smollm2-135m-instruct-q8_0.gguf 144811872
`);
