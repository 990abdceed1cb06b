/* tensor/block_sizes.h -- how gemm cuts its operands, and so what exec allocates. */
#ifndef CLIPC_TENSOR_BLOCK_SIZES_H
#define CLIPC_TENSOR_BLOCK_SIZES_H

enum {
    GEMM_KC = 256,   /* depth of a block: a panel of B (32 columns) fills 32 KB, L1 */
    GEMM_ROWS = 112, /* of A in a block, in whole panels: 112 KB, in L2 */
    GEMM_MR_MAX = 16,
    GEMM_NR = 32,   /* columns of a panel of B, whatever the instruction set */
    GEMM_NC = 4096, /* and columns of it at most */
    GEMM_PACK_FLOATS = 4 << 20, /* of B packed at a time: 16 MB, in L3 */
    GEMM_C_FLOATS = 192 << 10,  /* of C that stay while K goes by: 768 KB, in L2 */
    GEMM_SERIAL_NC = 256,       /* the same for gemm_serial: 256 KB */
    /* The panels, and a scale and a sum for each row. */
    GEMM_A_FLOATS = GEMM_ROWS * (GEMM_KC + 2),
    GEMM_SERIAL_FLOATS = GEMM_A_FLOATS + GEMM_SERIAL_NC * GEMM_KC
};

#endif
