// Compiles compute shaders with a Vulkan driver, without running them, and prints what the driver
// says of each as a row of a table:
//
//     kernel-stats SHADER.spv BINDINGS [SHADER.spv BINDINGS ...]
//
// All bindings are storage buffers of group 0.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

enum { MAX_BINDINGS = 16, MAX_STATISTICS = 64 };

// As the driver names them.
static const char *const columns[] = {"VGPRs", "Spilled VGPRs", "LDS size", "Subgroups per SIMD", "Instructions"};
enum { COLUMNS = sizeof columns / sizeof *columns };

static void check(VkResult result, const char *what) {
    if (result == VK_SUCCESS) return;
    fprintf(stderr, "%s: Vulkan error %d\n", what, result);
    exit(1);
}

static VkDevice open_device(void) {
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo instance_info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
    VkInstance instance;
    check(vkCreateInstance(&instance_info, NULL, &instance), "instance");

    uint32_t count = 1;
    VkPhysicalDevice physical;
    VkResult found = vkEnumeratePhysicalDevices(instance, &count, &physical);
    if (found != VK_INCOMPLETE) check(found, "devices");
    if (count == 0) {
        fprintf(stderr, "the driver has no device\n");
        exit(1);
    }

    const char *extension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pipelineExecutableInfo = VK_TRUE};
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo device_info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                      .pNext = &statistics,
                                      .queueCreateInfoCount = 1,
                                      .pQueueCreateInfos = &queue,
                                      .enabledExtensionCount = 1,
                                      .ppEnabledExtensionNames = &extension};
    VkDevice device;
    check(vkCreateDevice(physical, &device_info, NULL, &device), "device");
    return device;
}

static VkShaderModule load_shader(VkDevice device, const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    long bytes = ftell(file);
    rewind(file);
    uint32_t *words = malloc(bytes);
    if (!words || fread(words, 1, bytes, file) != (size_t)bytes) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    fclose(file);
    VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = words};
    VkShaderModule module;
    check(vkCreateShaderModule(device, &info, NULL, &module), path);
    free(words);
    return module;
}

static VkPipeline compile(VkDevice device, const char *path, uint32_t bindings) {
    VkDescriptorSetLayoutBinding buffers[MAX_BINDINGS];
    for (uint32_t binding = 0; binding < bindings; binding++)
        buffers[binding] = (VkDescriptorSetLayoutBinding){.binding = binding,
                                                          .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                          .descriptorCount = 1,
                                                          .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set_info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = bindings, .pBindings = buffers};
    VkDescriptorSetLayout set;
    check(vkCreateDescriptorSetLayout(device, &set_info, NULL, &set), path);
    VkPipelineLayoutCreateInfo layout_info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1, .pSetLayouts = &set};
    VkPipelineLayout layout;
    check(vkCreatePipelineLayout(device, &layout_info, NULL, &layout), path);

    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = load_shader(device, path),
                  .pName = "main"},
        .layout = layout};
    VkPipeline pipeline;
    check(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline), path);
    return pipeline;
}

static void print_statistics(VkDevice device, VkPipeline pipeline) {
    PFN_vkGetPipelineExecutableStatisticsKHR get =
        (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutableStatisticsKHR");
    VkPipelineExecutableStatisticKHR statistics[MAX_STATISTICS];
    for (int i = 0; i < MAX_STATISTICS; i++)
        statistics[i] = (VkPipelineExecutableStatisticKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    // A compute shader is one executable.
    VkPipelineExecutableInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    uint32_t count = MAX_STATISTICS;
    check(get(device, &info, &count, statistics), "statistics");
    for (int column = 0; column < COLUMNS; column++) {
        uint32_t i = 0;
        while (i < count && strcmp(statistics[i].name, columns[column]) != 0) i++;
        if (i < count) printf(" %" PRIu64 " |", statistics[i].value.u64);
        else printf(" |");
    }
}

int main(int count, char **arguments) {
    VkDevice device = open_device();
    for (int i = 1; i + 1 < count; i += 2) {
        int bindings = atoi(arguments[i + 1]);
        if (bindings < 1 || bindings > MAX_BINDINGS) {
            fprintf(stderr, "%s: %d bindings\n", arguments[i], bindings);
            return 1;
        }
        print_statistics(device, compile(device, arguments[i], bindings));
        printf("\n");
    }
    return 0;
}
