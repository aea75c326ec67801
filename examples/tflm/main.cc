// The exported graphs under TensorFlow Lite Micro: a second of samples in, a logit out.
//
// Reads int8 samples at the model's rate from standard input, as the bundle's input scale has them, and prints the
// int8 logit of every window that ends with a hop: first the frames of what is new (front), then the answer (head). Whole
// hops fill the ring, so the first answer is that of the second window.
// The signal chain, the quality rules and the alarm are not here: `edge-mi export --to c` writes them too.
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "edge_mi_model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

// `edge-mi export --target NAME` says what TFLM needs; a 32-bit processor needs less.
constexpr size_t kFrontArena = 12 * 1024;
constexpr size_t kHeadArena = 6 * 1024;
constexpr int kReach = EDGE_MI_FRONT_SAMPLES - EDGE_MI_HOP_SAMPLES;

alignas(16) uint8_t front_arena[kFrontArena];
alignas(16) uint8_t head_arena[kHeadArena];
int8_t recent[EDGE_MI_FRONT_SAMPLES];               // what the frames of a hop see
int8_t ring[EDGE_MI_FRAMES * EDGE_MI_FEATURES];     // the frames of a window, oldest first

bool Run(tflite::MicroInterpreter* interpreter, const int8_t* input, size_t bytes) {
  std::memcpy(interpreter->input(0)->data.int8, input, bytes);
  return interpreter->Invoke() == kTfLiteOk;
}

}  // namespace

int main() {
  tflite::InitializeTarget();
  tflite::MicroMutableOpResolver<3> operators;
  if (operators.AddConv2D() != kTfLiteOk || operators.AddAveragePool2D() != kTfLiteOk ||
      operators.AddReshape() != kTfLiteOk) {
    return 1;
  }
  tflite::MicroInterpreter front(tflite::GetModel(edge_mi_front_tflite), operators, front_arena, kFrontArena);
  tflite::MicroInterpreter head(tflite::GetModel(edge_mi_head_tflite), operators, head_arena, kHeadArena);
  if (front.AllocateTensors() != kTfLiteOk || head.AllocateTensors() != kTfLiteOk) {
    std::fprintf(stderr, "an arena is too small\n");
    return 1;
  }

  // Frames are counted from the end of the first window, so that hops and windows fall together.
  constexpr int kFirst = (EDGE_MI_WINDOW_SAMPLES - EDGE_MI_FRONT_SAMPLES) % EDGE_MI_HOP_SAMPLES;
  int skip = kFirst, have = 0, frames = 0;
  for (int c; (c = std::getchar()) != EOF;) {
    if (skip > 0) {
      skip--;
      continue;
    }
    recent[have++] = static_cast<int8_t>(static_cast<uint8_t>(c));
    if (have < EDGE_MI_FRONT_SAMPLES) continue;
    if (!Run(&front, recent, sizeof recent)) return 1;
    constexpr size_t kNew = EDGE_MI_HOP_FRAMES * EDGE_MI_FEATURES;
    std::memmove(ring, ring + kNew, sizeof ring - kNew);
    std::memcpy(ring + sizeof ring - kNew, front.output(0)->data.int8, kNew);
    std::memmove(recent, recent + EDGE_MI_HOP_SAMPLES, kReach);
    have = kReach;
    frames += EDGE_MI_HOP_FRAMES;
    if (frames < EDGE_MI_FRAMES) continue;
    if (!Run(&head, ring, sizeof ring)) return 1;
    std::printf("%d\n", head.output(0)->data.int8[0]);
  }
  return 0;
}
