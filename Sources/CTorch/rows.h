// Loops over one row of numbers, compiled for several instruction sets; the processor decides at load time.
#pragma once

#include <cstdint>

namespace ct::rows {

/// A bfloat16 row as float32.
void widen(const uint16_t *in, float *out, int64_t n);
/// A float32 row as bfloat16, rounded to nearest even.
void narrow(const float *in, uint16_t *out, int64_t n);
float sum(const float *x, int64_t n);
/// Σ (x − mean)²
float spread(const float *x, float mean, int64_t n);
float dot(const float *a, const float *b, int64_t n);
/// out = a·scale
void scale(const float *a, float scale, float *out, int64_t n);
/// out = a·scale + shift
void scale_and_shift(const float *a, float scale, float shift, float *out, int64_t n);
/// out = a + b
void sum_of(const float *a, const float *b, float *out, int64_t n);
/// out = a·b
void multiply(const float *a, const float *b, float *out, int64_t n);
/// sum += x
void add(const float *x, float *sum, int64_t n);
/// out = g·s − x·c
void norm_gradient(const float *g, float s, const float *x, float c, float *out, int64_t n);
/// out = silu(gate)·up
void swiglu(const float *gate, const float *up, float *out, int64_t n);
/// The gradients of `swiglu` for gate and up.
void swiglu_gradient(const float *g, const float *gate, const float *up, float *d_gate, float *d_up, int64_t n);
/// x·σ(2u) with u = √(2/π)·(x + 0.044715·x³): the tanh form of GELU.
void gelu_tanh(const float *x, float *out, int64_t n);
/// out = g times the derivative of `gelu_tanh` at x.
void gelu_tanh_gradient(const float *g, const float *x, float *out, int64_t n);
/// Pairs (lo, hi) turned by an angle: lo·c − hi·s, hi·c + lo·s.
void rotate(const float *lo, const float *hi, const float *c, const float *s, float *out_lo, float *out_hi, int64_t n);

/// Σ x², in float64.
double square_sum(const float *x, int64_t n);

float largest(const float *x, int64_t n);
/// x = exp(x·scale − top); returns their sum.
float exponentials(float *x, float scale, float top, int64_t n);
/// x = exp(x − log_sum)·scale, each with a log_sum and a scale of its own.
void shares(float *x, const float *log_sum, const float *scale, int64_t n);
/// out = p·(d − product)·scale: the gradient of softmax(score·scale) with weights p, whose gradient is d and Σ p·d the product.
void softmax_gradient(const float *p, const float *d, float product, float scale, float *out, int64_t n);

}  // namespace ct::rows
