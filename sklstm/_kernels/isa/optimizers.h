/* One step of an optimizer on a stretch of the flat vector. Elements are independent of each other. */

/* The numbers of a rule, rounded to the dtype once. */
typedef struct {
    vec b1, b2, a1, a2, scale, decay, keep, rate, root, epsilon, mixing, inverse;
} RuleNumbers;

/* A vector of each array, which the step replaces. */
typedef struct {
    vec x, first, second;
} UpdateNumbers;

enum { ADAMW_RULE, ADAM_RULE, SGD_RULE, SCHEDULE_FREE_RULE };

SKLSTM_INLINE vec v_square_root(vec x) {
#if defined(__GNUC__) && defined(__AVX512F__) && SKLSTM_VEC_BYTES == 64
#  if SKLSTM_REAL_IS_FLOAT
    return (vec)_mm512_sqrt_ps((__m512)x);
#  else
    return (vec)_mm512_sqrt_pd((__m512d)x);
#  endif
#elif defined(__GNUC__) && defined(__AVX__) && SKLSTM_VEC_BYTES == 32
#  if SKLSTM_REAL_IS_FLOAT
    return (vec)_mm256_sqrt_ps((__m256)x);
#  else
    return (vec)_mm256_sqrt_pd((__m256d)x);
#  endif
#elif defined(__GNUC__) && defined(__SSE2__) && SKLSTM_VEC_BYTES == 16
#  if SKLSTM_REAL_IS_FLOAT
    return (vec)_mm_sqrt_ps((__m128)x);
#  else
    return (vec)_mm_sqrt_pd((__m128d)x);
#  endif
#else
    for (int l = 0; l < LANES; l++) LANE(x, l) = square_root(LANE(x, l));
    return x;
#endif
}

/* v_store, past the caches where the machine can: memory that is overwritten whole need not be read first. */
SKLSTM_INLINE void v_stream(real *p, vec v) {
#if defined(__GNUC__) && defined(__AVX512F__) && SKLSTM_VEC_BYTES == 64
    _mm512_stream_si512((void *)p, (__m512i)v);
#elif defined(__GNUC__) && defined(__AVX__) && SKLSTM_VEC_BYTES == 32
    _mm256_stream_si256((void *)p, (__m256i)v);
#elif defined(__GNUC__) && defined(__SSE2__) && SKLSTM_VEC_BYTES == 16
    _mm_stream_si128((void *)p, (__m128i)v);
#else
    v_store(p, v);
#endif
}

/* Other threads see what was streamed. */
SKLSTM_INLINE void end_streams(void) {
#if defined(__GNUC__) && defined(__SSE2__)
    _mm_sfence();
#endif
}

/* AdamW (Loshchilov & Hutter 2019, algorithm 2): first is the mean m, second the mean square v. */
SKLSTM_INLINE UpdateNumbers adamw_rule(const RuleNumbers *r, vec d, UpdateNumbers at) {
    const vec g = v_mul(d, r->scale);
    at.first = v_add(v_mul(r->b1, at.first), v_mul(r->a1, g));
    at.second = v_add(v_mul(r->b2, at.second), v_mul(v_mul(r->a2, g), g));
    const vec root = v_add(v_square_root(v_mul(at.second, r->root)), r->epsilon);
    at.x = v_sub(v_mul(r->keep, at.x), v_div(v_mul(r->rate, at.first), root));
    return at;
}

/* Adam (Kingma & Ba 2015, algorithm 1); the decay is a part of the gradient, as an L2 penalty. */
SKLSTM_INLINE UpdateNumbers adam_rule(const RuleNumbers *r, vec d, UpdateNumbers at) {
    const vec g = v_add(v_mul(d, r->scale), v_mul(r->decay, at.x));
    at.first = v_add(v_mul(r->b1, at.first), v_mul(r->a1, g));
    at.second = v_add(v_mul(r->b2, at.second), v_mul(v_mul(r->a2, g), g));
    const vec root = v_add(v_square_root(v_mul(at.second, r->root)), r->epsilon);
    at.x = v_sub(at.x, v_div(v_mul(r->rate, at.first), root));
    return at;
}

/* Gradient descent with momentum (Polyak 1964): first is the velocity, beta1 the momentum; decoupled decay. */
SKLSTM_INLINE UpdateNumbers sgd_rule(const RuleNumbers *r, vec d, UpdateNumbers at) {
    at.first = v_add(v_mul(r->b1, at.first), v_mul(d, r->scale));
    at.x = v_sub(v_mul(r->keep, at.x), v_mul(r->rate, at.first));
    return at;
}

/* Schedule-free AdamW (Defazio et al. 2024, algorithm 1): x holds the point y where gradients are taken, first z. The mean of all
 * z, which predictions use, is (y - (1 - beta1) z) / beta1. */
SKLSTM_INLINE UpdateNumbers schedule_free_rule(const RuleNumbers *r, vec d, UpdateNumbers at) {
    const vec g = v_mul(d, r->scale);
    at.second = v_add(v_mul(r->b2, at.second), v_mul(v_mul(r->a2, g), g));
    vec mean = v_mul(v_sub(at.x, v_mul(r->a1, at.first)), r->inverse);
    const vec root = v_add(v_square_root(v_mul(at.second, r->root)), r->epsilon);
    at.first = v_sub(at.first, v_mul(r->rate, v_add(v_div(g, root), v_mul(r->decay, at.x))));
    mean = v_add(mean, v_mul(r->mixing, v_sub(at.first, mean)));
    at.x = v_add(v_mul(r->b1, mean), v_mul(r->a1, at.first));
    return at;
}

SKLSTM_INLINE UpdateNumbers take_step(const int rule, const RuleNumbers *r, vec d, UpdateNumbers at) {
    if (rule == ADAMW_RULE) return adamw_rule(r, d, at);
    if (rule == ADAM_RULE) return adam_rule(r, d, at);
    return rule == SGD_RULE ? sgd_rule(r, d, at) : schedule_free_rule(r, d, at);
}

SKLSTM_INLINE RuleNumbers numbers_of_rule(const int rule, const UpdateStep *s) {
    const double rate = rule == ADAMW_RULE || rule == ADAM_RULE ? s->learning_rate / s->correction1 : s->learning_rate;
    return (RuleNumbers){
        .b1 = v_broadcast((real)s->beta1), .b2 = v_broadcast((real)s->beta2), .a1 = v_broadcast((real)(1 - s->beta1)),
        .a2 = v_broadcast((real)(1 - s->beta2)), .scale = v_broadcast((real)s->gradient_scale),
        .decay = v_broadcast((real)s->decay), .keep = v_broadcast((real)(1 - s->learning_rate * s->decay)),
        .rate = v_broadcast((real)rate), .root = v_broadcast((real)(1 / s->correction2)),
        .epsilon = v_broadcast((real)s->epsilon), .mixing = v_broadcast((real)s->mixing),
        .inverse = v_broadcast((real)(1 / s->beta1)),
    };
}

/* A stretch of a vector, whole vectors first. Returns whether the sum of the squares of x is finite in each lane: then so is each
 * number, and none is near the largest of the dtype. */
SKLSTM_INLINE int update_stretch(const int rule, const int streams, const UpdateStep *s) {
    const RuleNumbers r = numbers_of_rule(rule, s);
    const int has_second = rule != SGD_RULE;
    const real *d = (const real *)s->gradient, *x = (const real *)s->x, *first = (const real *)s->first;
    const real *second = (const real *)s->second;
    real *next_x = (real *)s->next_x, *next_first = (real *)s->next_first, *next_second = (real *)s->next_second;
    vec squares = v_broadcast(0);
    Py_ssize_t i = 0;
    for (; i + LANES <= s->n; i += LANES) {
        UpdateNumbers at = {v_load(x + i), v_load(first + i), has_second ? v_load(second + i) : v_broadcast(0)};
        at = take_step(rule, &r, v_load(d + i), at);
        squares = v_fma(at.x, at.x, squares);
        if (streams) {
            v_stream(next_x + i, at.x);
            v_stream(next_first + i, at.first);
            if (has_second) v_stream(next_second + i, at.second);
        } else {
            v_store(next_x + i, at.x);
            v_store(next_first + i, at.first);
            if (has_second) v_store(next_second + i, at.second);
        }
    }
    if (streams) end_streams();
    if (i < s->n) {
        const size_t rest = (size_t)(s->n - i) * sizeof(real);
        UpdateNumbers at = {v_broadcast(0), v_broadcast(0), v_broadcast(0)};
        vec g = v_broadcast(0);
        memcpy(&g, d + i, rest), memcpy(&at.x, x + i, rest), memcpy(&at.first, first + i, rest);
        if (has_second) memcpy(&at.second, second + i, rest);
        at = take_step(rule, &r, g, at);
        memcpy(next_x + i, &at.x, rest), memcpy(next_first + i, &at.first, rest);
        if (has_second) memcpy(next_second + i, &at.second, rest);
        for (int l = 0; l < (int)(s->n - i); l++) LANE(squares, l) += LANE(at.x, l) * LANE(at.x, l);
    }
    for (int l = 0; l < LANES; l++)
        if (!isfinite(LANE(squares, l))) return 0;
    return 1;
}

#define UPDATE_STEP(name, rule)                                                                                               \
    static int name(const UpdateStep *step) {                                                                                 \
        return step->streams ? update_stretch(rule, 1, step) : update_stretch(rule, 0, step);                                 \
    }

UPDATE_STEP(adamw_step, ADAMW_RULE)
UPDATE_STEP(adam_step, ADAM_RULE)
UPDATE_STEP(sgd_step, SGD_RULE)
UPDATE_STEP(schedule_free_step, SCHEDULE_FREE_RULE)

#undef UPDATE_STEP

/* out (n) = the numbers of an outer product from number `begin` of the vector on, as outer_panel adds them to zeros. */
static void fill_outer(const OuterProduct *part, Py_ssize_t begin, Py_ssize_t n, void *out) {
    const real *a = (const real *)part->a + (begin - part->begin) / part->width, *d = (const real *)part->d;
    real *to = (real *)out;
    Py_ssize_t j = (begin - part->begin) % part->width;
    for (; n > 0; a++, j = 0) {
        const vec factor = v_broadcast(*a);
        const Py_ssize_t end = smaller(part->width, j + n);
        n -= end - j;
        for (; j < end; j += LANES, to += LANES) v_store(to, v_fma(factor, v_load(d + j), v_broadcast(0)));
    }
}
