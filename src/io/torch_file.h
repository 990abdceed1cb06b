/* io/torch_file.h -- PyTorch's checkpoints, as torch.save and torch.jit.save write them
 * (layouts after torch/serialization.py and torch/csrc/jit/serialization of 2.x):
 *
 *   zip          NAME/data.pkl, a pickle, and NAME/data/KEY, one record a storage, not
 *                compressed; NAME/byteorder, "little".  A pickle of TorchScript holds
 *                objects of classes __torch__..., whose attributes are the tensors.
 *   before 1.6   pickles one behind the other (magic number, protocol 1001, the machine,
 *                the object, the keys of the storages), then for each key 64 bits of
 *                count and the elements.
 *
 * Which tensors: of a TorchScript module all, named by the attributes that lead to them,
 * joined by dots; its numbers, truth values and strings become metadata, as does, under
 * "torch.kind", which sort of file it is: "torchscript", "state_dict", or "checkpoint"
 * for one that training left.  Otherwise those of the dict; of its member "state_dict",
 * "model_state_dict", "model" or "module" instead, if that is a dict with tensors.
 * "module." and "_orig_mod." are taken off when all names begin so.
 *
 * No object is ever made and no code run (io/pickle.h): all but dicts, tensors and
 * storages is passed over.  Tensors point into the file; those whose strides are not
 * row-major are copied.  Everything read is checked against the file; memory is linear in
 * its size.  Sparse and quantised tensors and complex numbers are refused by name. */
#ifndef CLIPC_IO_TORCH_FILE_H
#define CLIPC_IO_TORCH_FILE_H

#include "io/tensor_file.h"

/* By content: an archive with data.pkl, or the old magic number. */
bool torch_is(const void *data, size_t size);

/* Free with tensor_file_free; tensors live as long. */
int torch_open(tensor_file **out, const char *path, clipc_err *err);
/* The same from memory that outlives *out; `name` is for messages. */
int torch_parse(tensor_file **out, const void *data, size_t size, const char *name,
                clipc_err *err);

#endif
