/* clip/fold.h -- FastViT's training-time branches (MobileOne, arXiv:2206.04040; timm
 * fastvit.py) folded into the one convolution that they are together:
 *
 *   batch norm   bn(x) = s x + t,  s = weight / sqrt(var + eps),  t = bias - mean s
 *   branches     bn(conv(x)) + bn(conv1x1(x)) + bn(x): the kernels times s, the smaller
 *                ones in the middle of the larger, bn(x) as a 1 there; biases are sums
 *   RepMixer     x + gamma (branches(x) - bn(x))
 *   positions    x + conv(x)
 *   attention    a batch norm in front of qkv goes into its weights and becomes its bias
 *   layer scale  gamma goes into the linear layer before it
 *
 * Names are those that timm's reparameterize_model gives, "....reparam_conv.weight"; what
 * timm does not fold is called likewise: mlp.reparam_conv, mlp.reparam_fc2,
 * token_mixer.reparam_qkv and .reparam_proj.  Parts that timm folded already stay. */
#ifndef CLIPC_CLIP_FOLD_H
#define CLIPC_CLIP_FOLD_H

#include "io/tensor_file.h"

/* Puts the folded tensors, float32, computed in double, into a finished file in place of
 * those that they are made of; it stays finished.  A branch that lacks a tensor or has
 * one of a wrong shape is CLIPC_ERR_FORMAT. */
int fold_fastvit(tensor_file *f, const char *where, clipc_err *err);

#endif
