"""Instruction sets of this machine, by CPUID and XGETBV, in baseline code and before any variant is imported.

A variant's module initialisation already uses its instructions, so a wrong answer here is a crash, not an exception.
"""

cdef extern from *:
    """
    #if (defined(__x86_64__) || defined(_M_X64)) && defined(_MSC_VER) && !defined(__clang__)
    #include <intrin.h>
    static void sklstm_cpuid(unsigned leaf, unsigned sub, unsigned *r) { __cpuidex((int *)r, (int)leaf, (int)sub); }
    static unsigned long long sklstm_xcr0(void) { return _xgetbv(0); }
    #elif defined(__x86_64__)
    #include <cpuid.h>
    static void sklstm_cpuid(unsigned leaf, unsigned sub, unsigned *r) {
        if (!__get_cpuid_count(leaf, sub, r, r + 1, r + 2, r + 3)) r[0] = r[1] = r[2] = r[3] = 0;
    }
    static unsigned long long sklstm_xcr0(void) {
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return ((unsigned long long)high << 32) | low;
    }
    #else
    static void sklstm_cpuid(unsigned leaf, unsigned sub, unsigned *r) { r[0] = r[1] = r[2] = r[3] = 0; }
    static unsigned long long sklstm_xcr0(void) { return 0; }
    #endif
    """
    void sklstm_cpuid(unsigned int leaf, unsigned int sub, unsigned int *registers) noexcept nogil
    unsigned long long sklstm_xcr0() noexcept nogil

cdef enum:
    # leaf 1, ECX
    SSE3 = 1 << 0
    SSSE3 = 1 << 9
    FMA = 1 << 12
    SSE41 = 1 << 19
    SSE42 = 1 << 20
    MOVBE = 1 << 22
    POPCNT = 1 << 23
    OSXSAVE = 1 << 27
    AVX = 1 << 28
    F16C = 1 << 29
    # leaf 7, EBX
    BMI1 = 1 << 3
    AVX2 = 1 << 5
    BMI2 = 1 << 8
    AVX512F = 1 << 16
    AVX512DQ = 1 << 17
    AVX512CD = 1 << 28
    AVX512BW = 1 << 30
    # leaf 7, ECX
    AVX512_VNNI = 1 << 11
    # leaf 7, subleaf 1, EAX
    AVX512_BF16 = 1 << 5
    # leaf 0x80000001, ECX
    LZCNT = 1 << 5
    # XCR0: what the operating system saves
    YMM_STATE = 0b110
    ZMM_STATE = 0b11100110

# As a number, not an enum member: bit 31 does not fit a signed int.
cdef unsigned int AVX512VL = 1u << 31


def isas_of(unsigned int leaf1_ecx, unsigned int leaf7_ebx, unsigned int leaf7_ecx, unsigned int leaf7_1_eax,
            unsigned int extended_ecx, unsigned long long saved):
    """Return the variants for what CPUID says in these registers and XGETBV in XCR0, slowest first."""
    cdef unsigned int v3_ecx = SSE3 | SSSE3 | FMA | SSE41 | SSE42 | MOVBE | POPCNT | OSXSAVE | AVX | F16C
    cdef unsigned int v3_ebx = BMI1 | AVX2 | BMI2
    cdef unsigned int v4_ebx = AVX512F | AVX512DQ | AVX512CD | AVX512BW
    isas = ["baseline"]
    if (leaf1_ecx & v3_ecx) != v3_ecx or (leaf7_ebx & v3_ebx) != v3_ebx or not extended_ecx & LZCNT:
        return isas
    if (saved & YMM_STATE) != YMM_STATE:
        return isas
    isas.append("x86_v3")
    v4_ebx |= AVX512VL
    if (leaf7_ebx & v4_ebx) == v4_ebx and (saved & ZMM_STATE) == ZMM_STATE:
        isas.append("x86_v4")
        if leaf7_ecx & AVX512_VNNI:
            isas.append("x86_v4_vnni")
            if leaf7_1_eax & AVX512_BF16:
                isas.append("x86_v4_bf16")
    return isas


def supported_isas():
    """Return the variants this CPU and operating system can run, slowest first."""
    cdef unsigned int leaf1[4]
    cdef unsigned int leaf7[4]
    cdef unsigned int leaf7_1[4]
    cdef unsigned int extended[4]
    cdef unsigned long long saved = 0
    sklstm_cpuid(1, 0, leaf1)
    sklstm_cpuid(7, 0, leaf7)
    # Subleaf 1 exists where subleaf 0 says so in EAX.
    sklstm_cpuid(7, 1 if leaf7[0] >= 1 else 0, leaf7_1)
    sklstm_cpuid(0x80000001u, 0, extended)
    # Only readable once OSXSAVE has been seen.
    if leaf1[2] & OSXSAVE:
        saved = sklstm_xcr0()
    return isas_of(leaf1[2], leaf7[1], leaf7[2], leaf7_1[0] if leaf7[0] >= 1 else 0, extended[2], saved)
