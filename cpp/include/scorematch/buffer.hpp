// Aligned memory with an owner. std::vector would do, were it not for level.hpp's rule against shared templates.
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class Buffer {
  public:
    Buffer() noexcept = default;

    // `size` zeros, on a cache line of their own.
    explicit Buffer(index size) : size_(size) {
        if (size == 0) return;
        const std::size_t line = 64;
        const std::size_t bytes = (static_cast<std::size_t>(size) * sizeof(T) + line - 1) / line * line;
        data_ = static_cast<T*>(std::aligned_alloc(line, bytes));
        if (data_ == nullptr) throw std::bad_alloc();
        std::memset(static_cast<void*>(data_), 0, bytes);
    }
    Buffer(Buffer&& other) noexcept : data_(other.data_), size_(other.size_) {
        other.data_ = nullptr;
        other.size_ = 0;
    }
    Buffer& operator=(Buffer&& other) noexcept {
        T* const data = data_;
        const index size = size_;
        data_ = other.data_;
        size_ = other.size_;
        other.data_ = data;
        other.size_ = size;
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(static_cast<void*>(data_)); }

    // Room for `size` numbers at least. Growing, it forgets what it holds.
    void make_room(index size) {
        if (size > size_) *this = Buffer(size);
    }

    T* data() noexcept { return data_; }
    const T* data() const noexcept { return data_; }
    index size() const noexcept { return size_; }
    T& operator[](index i) noexcept { return data_[i]; }
    const T& operator[](index i) const noexcept { return data_[i]; }

  private:
    T* data_ = nullptr;
    index size_ = 0;
};

SCOREMATCH_END_LEVEL
